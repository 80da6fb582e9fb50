//! Tokens of our own, as Altinn issues them: for tokens of Maskinporten, ID-porten and Altinn Studio ([`exchange`]), for people
//! who log in, and anew while a session lasts ([`refresh`]).
//!
//! Nothing is issued unless the configuration has `[tokens]`. Tokens are signed RS256 by keys in a file beside the database
//! ([`keys`]); a new key is published two days before it signs ([`rotate`]), an old one until its last token has ended.
//! The control plane trusts what it issues, and so do gateways when the configuration says so.

pub(crate) mod cookie;
mod exchange;
mod exchanged;
mod introspect;
mod issuer;
mod jwks;
mod key_file;
mod keys;
mod list_keys;
mod logout;
mod openid_configuration;
pub(crate) mod people;
mod put_identities;
mod refresh;
mod rotate;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::{Problem, codes};
use crate::state::AppState;

pub(crate) use issuer::{TokenIssuer, publish_keys};
pub(crate) use logout::log_out;

/// How often it is looked whether a key has ended.
const LOOK_EVERY: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(exchange::handler))
        .routes(routes!(introspect::handler))
        .routes(routes!(refresh::handler))
        .routes(routes!(logout::handler))
        .routes(routes!(openid_configuration::handler))
        .routes(routes!(jwks::handler))
        .routes(routes!(list_keys::handler, rotate::handler))
        .routes(routes!(put_identities::handler))
}

/// Keeps what others know of our keys up to date, until the service stops.
pub(crate) async fn keep_keys_published(state: AppState) {
    loop {
        forget_sessions(&state).await;
        if let Some(tokens) = &state.tokens
            && let Err(error) = tokens.read_again()
        {
            tracing::warn!("cannot read the token keys again, the last ones stay: {error:#}");
        }
        if let Err(error) = publish_keys(&state).await {
            tracing::warn!("cannot publish the token keys, the last ones stay: {error:#}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = state.stopped() => return,
        }
    }
}

/// Forgets the sessions that nobody can renew any more.
async fn forget_sessions(state: &AppState) {
    let Some(tokens) = &state.tokens else { return };
    let before = state.clock.now().plus_seconds(-2 * tokens.config.session_s);
    let forgotten = async {
        let mut change = state.store.change().await?;
        store::forget_sessions(change.connection(), before).await?;
        change.commit_derived().await
    };
    if let Err(error) = forgotten.await {
        tracing::warn!("cannot forget old sessions: {error:#}");
    }
}

/// Our issuer, where tokens are issued at all.
fn issuing(state: &AppState) -> Result<&TokenIssuer, Problem> {
    state.tokens.as_deref().ok_or_else(|| codes::TOKENS_NOT_ISSUED.into())
}

/// A file with a key that was made once for all tests.
#[cfg(test)]
pub(crate) fn write_key_for_test(file: &std::path::Path) {
    use std::sync::OnceLock;
    static KEY: OnceLock<String> = OnceLock::new();
    let now = policies::Timestamp::from_unix_seconds(0);
    let key = KEY.get_or_init(|| keys::TokenKey::draw(&crate::state::SystemIds, now).unwrap().stored().1);
    key_file::write(file, &[(now, key.clone())]).unwrap();
}

/// Adds a key to the file that is published and does not sign yet.
#[cfg(test)]
pub(crate) fn add_waiting_key_for_test(file: &std::path::Path, now: policies::Timestamp) {
    let mut keys = key_file::read(file).unwrap();
    let signs_from = now.plus_seconds(keys::PUBLISHED_BEFORE_S);
    keys.push(keys::TokenKey::draw(&crate::state::SystemIds, signs_from).unwrap().stored());
    key_file::write(file, &keys).unwrap();
}
