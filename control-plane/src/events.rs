//! What vendors are told has happened to their systems: a resumable stream ([`list`]); [`crate::webhooks`] deliver the same.
//!
//! Events are written by triggers within the change that they tell of (`migrations/*/0060_events.sql`), so there is none
//! without its change, no change without its event, and their order is that of the changes.

mod list;
pub(crate) mod model;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list::handler))
}
