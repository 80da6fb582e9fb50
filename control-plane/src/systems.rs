//! The system register: what vendors offer, and which rights a system may ever ask for.
//!
//! A system belongs to the vendor whose organisation number its id begins with. Its client ids are unique over all live
//! systems. Start with [`model`]; the rules a body must keep are in [`register`].

mod get;
mod list;
pub(crate) mod model;
mod register;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list::handler, register::handler)).routes(routes!(get::handler))
}
