//! Many clients at once: added to an agent system user, removed from it, or moved to it from another.
//!
//! A job is stored whole when it is asked for ([`create`]) and done in pieces of bounded size, each a change of its own ([`run`]),
//! so that it goes on where it stood after a restart. What became of each client is kept ([`get`]).

mod create;
mod get;
pub(super) mod model;
pub(crate) mod run;
mod store;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::handler)).routes(routes!(get::handler))
}
