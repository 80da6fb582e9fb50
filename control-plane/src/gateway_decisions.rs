//! What gateways tell of their decisions: denials, and permits by sample, where their configuration says so.
//!
//! Kept for a time and in a number that are bounded, for operators and the API provider to read. It is what gateways say;
//! what was decided by whom is in the audit.

mod list;
mod model;
mod record;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use model::GatewayDecision;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(record::handler)).routes(routes!(list::handler))
}
