//! Decisions: may this subject do this action on this resource for this party, as everything stands now?
//!
//! The same answer that gateways give from a snapshot, given from the database, for those who ask over HTTP: in the JSON
//! profile of XACML as Altinn's services take it ([`authorize`], [`decision`]), and in AuthZEN 1.0 ([`evaluation`],
//! [`evaluations`]). A request is read ([`question`]), what it names is looked up in one read transaction ([`facts`]), that
//! becomes a world ([`world`]) with policies compiled once ([`compiled_policies`]), and `policies` decides in it ([`judge`]). The control plane
//! asks it too: who may call, and what an approver may pass on
//! ([`of_user`], [`passing_on`]).
//!
//! Nothing is stored here, and what a caller sends is answered, not failed on: an Indeterminate where Altinn has one.

mod authorize;
mod authzen;
mod authzen_configuration;
mod compiled_policies;
mod decision;
mod evaluation;
mod evaluations;
mod facts;
mod judge;
mod obligations;
pub(crate) mod of_user;
pub(crate) mod passing_on;
mod question;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod same_as_gateways;
#[cfg(test)]
mod story;
mod world;

use axum::middleware::from_fn;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use compiled_policies::CompiledPolicies;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let authzen = OpenApiRouter::new()
        .routes(routes!(evaluation::handler))
        .routes(routes!(evaluations::handler))
        .layer(from_fn(authzen::echo_request_id));
    OpenApiRouter::new()
        .routes(routes!(authorize::handler))
        .routes(routes!(decision::handler))
        .routes(routes!(authzen_configuration::handler))
        .merge(authzen)
}
