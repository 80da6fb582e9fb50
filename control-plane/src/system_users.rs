//! System users and what was delegated to them.
//!
//! A system user comes into being when its request is approved ([`crate::requests`]) and ends when its owner withdraws
//! it ([`delete`]). [`lookup`] answers Maskinporten's question: which system user may this client use for this owner?

mod delete;
mod get;
mod list;
mod lookup;
pub(crate) mod model;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(lookup::handler))
        .routes(routes!(list::handler))
        .routes(routes!(get::handler, delete::handler))
}
