//! From what is stored to what gateways enforce.
//!
//! [`publish`] follows the revision: per provider it reads what has changed ([`callers`], [`build`]) and lets [`line`]
//! make a delta of it, or a base where a delta cannot say it. A piece is signed ([`signing_key`]), taken over as a gateway
//! would, stored, and only then shown to the held polls of [`feed`], a large base in parts ([`part`]). Where several
//! control planes share a database, one publishes and the others [`follow`]. [`publications`] is what is published now;
//! [`explain`] says why it permits or refuses. Nothing here changes another slice's tables.

mod build;
mod callers;
mod explain;
mod feed;
mod follow;
mod keys;
mod line;
mod part;
mod publications;
mod publish;
mod report;
mod signing_key;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use follow::{adopt_signing_key, check_signing_key, keep_published, restore, restore_epoch};
pub(crate) use publications::Publications;
pub(crate) use signing_key::SigningKey;

/// Everything but the feed.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(keys::handler))
        .routes(routes!(explain::handler))
        .routes(routes!(report::handler))
}

/// The feed, apart because its answers are held.
pub(crate) fn feed_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(feed::handler))
}
