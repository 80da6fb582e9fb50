//! The audit: who changed what, when, and what gave the right to. It is the change log, which the database lets nobody change.
//!
//! Operators see all of it, an organisation's access managers what concerns the organisation. [`model`] says what each kind
//! of change rests on.

mod list;
pub(crate) mod model;
mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list::for_operator)).routes(routes!(list::for_party))
}
