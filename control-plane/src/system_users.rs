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

use axum::Router;
use axum::routing::get;

use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/authentication/api/v1/systemuser/byExternalId", get(lookup::handler))
        .route("/authentication/api/v1/systemuser/{party}", get(list::handler))
        .route("/authentication/api/v1/systemuser/{party}/{system_user_id}", get(get::handler).delete(delete::handler))
}
