//! Free system users: an organisation has software of its own and a Maskinporten client of its own, and needs no vendor's system
//! for it. What is made is a system that is in no register, with one system user; both end together (a trigger).
//!
//! Everything else about them is as with any standard system user: Maskinporten's look-up, tokens, gateways, `effective`,
//! withdrawal. Rights may be given when it is made or later, by whoever may pass them on.

mod body;
mod create;
mod replace;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::handler)).routes(routes!(replace::handler))
}
