//! The system register: what vendors offer, and which rights a system may ever ask for.
//!
//! A system belongs to the vendor whose organisation number its id begins with. Its client ids are unique over all live
//! systems. Start with [`model`]; the rules a body must keep are in [`register`].

mod get;
mod list;
pub(crate) mod model;
mod register;
pub(crate) mod store;

use axum::Router;
use axum::routing::get;

use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/authentication/api/v1/systemregister/vendor", get(list::handler).post(register::handler))
        .route("/authentication/api/v1/systemregister/vendor/{system_id}", get(get::handler))
}
