//! API providers, their resources with an XACML policy each, and their routes: what gateways protect.
//!
//! Operators register a provider ([`put_provider`]); the provider's organisation does the rest. A policy or a list of
//! routes is stored only if the enforcing code accepts it ([`model::Catalogue::check`]).

pub(crate) mod model;
mod put_policy;
mod put_provider;
mod put_resource;
mod put_routes;
pub(crate) mod store;

use axum::Router;
use axum::routing::put;

use crate::state::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/portvakt/v1/providers/{provider}", put(put_provider::handler))
        .route("/portvakt/v1/providers/{provider}/resources/{resource}", put(put_resource::handler))
        .route("/portvakt/v1/providers/{provider}/resources/{resource}/policy", put(put_policy::handler))
        .route("/portvakt/v1/providers/{provider}/routes", put(put_routes::handler))
}
