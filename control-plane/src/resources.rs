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

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(put_provider::handler))
        .routes(routes!(put_resource::handler))
        .routes(routes!(get_policy::handler, put_policy::handler))
        .routes(routes!(list_policy_versions::handler))
        .routes(routes!(get_access_list::handler, put_access_list::handler, delete_access_list::handler))
        .routes(routes!(put_routes::handler))
}
