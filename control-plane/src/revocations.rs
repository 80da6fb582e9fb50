//! Revocations: tokens, Maskinporten clients and system users that an API provider's gateways refuse until an instant.
//!
//! They go out with the next snapshot, as any other change does, and gateways refuse what is named within milliseconds,
//! tokens that were verified before included. To withdraw a system user for good is its owner's to do; this is for the
//! hour in which a secret is in the wrong hands.

mod create;
mod delete;
mod list;
pub(crate) mod model;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list::handler, create::handler)).routes(routes!(delete::handler))
}
