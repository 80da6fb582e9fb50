//! API providers, their resources with an XACML policy each, and their routes: what gateways protect.
//!
//! Operators register a provider ([`put_provider`]); the provider's organisation does the rest. A policy or a list of
//! routes is stored only if the enforcing code accepts it ([`model::Catalogue::check`]). Every policy that was stored stays
//! readable as a version. Access lists say who may use a resource at all, whatever right they have.

mod delete_access_list;
mod get_access_list;
mod get_policy;
mod list_policy_versions;
pub(crate) mod model;
mod put_access_list;
mod put_policy;
mod put_provider;
mod put_resource;
mod put_routes;
pub(crate) mod store;

use axum::Router;
use axum::routing::{get, put};

use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/portvakt/v1/providers/{provider}", put(put_provider::handler))
        .route("/portvakt/v1/providers/{provider}/resources/{resource}", put(put_resource::handler))
        .route(
            "/portvakt/v1/providers/{provider}/resources/{resource}/policy",
            get(get_policy::handler).put(put_policy::handler),
        )
        .route(
            "/portvakt/v1/providers/{provider}/resources/{resource}/policy/versions",
            get(list_policy_versions::handler),
        )
        .route(
            "/portvakt/v1/providers/{provider}/access-lists/{list}",
            get(get_access_list::handler).put(put_access_list::handler).delete(delete_access_list::handler),
        )
        .route("/portvakt/v1/providers/{provider}/routes", put(put_routes::handler))
}
