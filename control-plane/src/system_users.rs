//! System users and what was delegated to them.
//!
//! A system user comes into being when its request is approved or its owner takes a system into use ([`crate::requests`]), and
//! ends when its owner withdraws it ([`delete`]) or its system ends. [`lookup`] answers Maskinporten's question: which system user may this client use for this owner?

mod delegations;
mod delete;
mod end_expired;
mod get;
mod list;
mod lookup;
pub(crate) mod model;
mod put_validity;
mod rename;
pub(crate) mod store;
mod stream;
mod vendor;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use end_expired::keep_ended;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(lookup::handler))
        .routes(routes!(put_validity::handler))
        .routes(routes!(list::handler))
        .routes(routes!(get::handler, delete::handler))
        .routes(routes!(delegations::handler))
        .routes(routes!(rename::handler))
        .routes(routes!(vendor::by_query))
        .routes(routes!(vendor::by_system))
        .routes(routes!(stream::stream))
        .routes(routes!(stream::one))
}
