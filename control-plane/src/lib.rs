//! The policy administration point of Portvakt: who registered what, who approved what, and the snapshots that make it
//! enforced.
//!
//! One slice per domain, each a file with its router and a folder: `model` is pure, `store` is SQL, every other file is
//! one operation with its body, handler, failures and tests. Arrows between slices go one way: `parties`, `issuers`,
//! `resources`, `systems` ← `system_users` ← `decisions` (answers from the stored data what gateways answer from snapshots) ←
//! `delegation_checks` ← `requests` ← `change_requests`, `free_system_users`; `system_users` ← `client_delegations` ← `party_imports`; `revocations` ← `snapshots`; `snapshots`, `gateways` and `gateway_decisions` stand beside them. Start with [`app`]; who may call what is decided in
//! `caller`; what a call may fail with is listed in `problem/codes.rs`.
//!
//! This crate decides nothing itself: that is `policies`, which also accepts every snapshot before it is shown.

mod access_packages;
#[cfg(test)]
mod access_table;
mod aliases;
mod audit;
#[cfg(test)]
mod bad_input;
mod base_url;
mod caller;
mod change_requests;
mod client_delegations;
pub mod config;
mod decisions;
mod delegation_checks;
mod diagnoses;
mod events;
mod expiry;
mod fields;
mod free_system_users;
mod gateway_decisions;
mod gateways;
mod hash;
mod health;
mod issuers;
mod json;
mod logins;
#[cfg(test)]
mod long_lists;
mod metrics;
mod openapi;
mod page;
mod parameters;
mod parties;
mod party_imports;
mod preconditions;
mod problem;
mod rate_limit;
mod requested;
mod requests;
mod resources;
mod revocations;
mod right;
#[cfg(test)]
mod secrets_in_logs;
mod serve;
mod service;
mod snapshots;
pub mod state;
mod store;
mod system_users;
mod systems;
#[cfg(test)]
mod test_state;
mod tokens;
mod webhooks;
#[cfg(test)]
mod worked_example;

use std::path::Path;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

pub use serve::{Running, import_parties, start};
pub use state::{AppState, Clock, Ids, SystemClock, SystemIds};

/// Every operation of the control plane.
pub fn app(state: AppState) -> Router {
    let (limited, feed) = (Router::from(limited_operations()), Router::from(snapshots::feed_routes()));
    let operations = service::with_time_limit(limited).merge(feed).merge(openapi::page());
    aliases::followed(service::with_manners(operations, state))
}

/// Every operation, with its description.
fn operations() -> OpenApiRouter<AppState> {
    limited_operations().merge(snapshots::feed_routes())
}

/// Every operation that has to end within the time limit.
fn limited_operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(parties::routes())
        .merge(party_imports::routes())
        .merge(resources::routes())
        .merge(systems::routes())
        .merge(system_users::routes())
        .merge(delegation_checks::routes())
        .merge(requests::routes())
        .merge(client_delegations::routes())
        .merge(change_requests::routes())
        .merge(free_system_users::routes())
        .merge(tokens::routes())
        .merge(logins::routes())
        .merge(gateways::routes())
        .merge(revocations::routes())
        .merge(gateway_decisions::routes())
        .merge(decisions::routes())
        .merge(snapshots::routes())
        .merge(audit::routes())
        .merge(events::routes())
        .merge(webhooks::routes())
        .merge(diagnoses::routes())
        .merge(openapi::routes())
        .merge(health::routes())
}

/// Lets the control planes on a PostgreSQL database sign with the configured key from their next start on; gives its public
/// half (PEM).
pub async fn adopt_signing_key(config: &config::Config) -> anyhow::Result<String> {
    let key = snapshots::SigningKey::read(&config.signing_key_file()?)?;
    let store = store::Store::open(&config.database).await?;
    snapshots::adopt_signing_key(&store, &key).await?;
    store.close().await;
    Ok(key.public_pem().to_owned())
}

/// Writes a copy of the database to a file that must not be there, while the database is in use.
pub async fn backup(config: &config::Config, file: &Path) -> anyhow::Result<()> {
    store::backup::backup(&config.database, file).await
}

/// Puts a copy in the place of a database that is not there or has nothing in it; gives the last revision in it.
pub async fn restore(config: &config::Config, file: &Path) -> anyhow::Result<u64> {
    Ok(store::backup::restore(&config.database, file).await?.as_u64())
}

/// Copies a SQLite file into the empty PostgreSQL database of the configuration; gives the last revision.
pub async fn copy_from_sqlite(config: &config::Config, file: &Path) -> anyhow::Result<u64> {
    Ok(store::copying::copy(file, &config.database).await?.as_u64())
}

/// The public half of the key that signs snapshots (PEM); the key is made if there is none.
pub fn snapshot_public_key(file: &Path, ids: &dyn Ids) -> anyhow::Result<String> {
    Ok(snapshots::SigningKey::open(file, ids)?.public_pem().to_owned())
}
