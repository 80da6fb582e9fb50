//! The register of parties: organisations, which of them are sub units, who holds which role at them, and what they are to
//! each other. Who may approve follows from it, part of what users may do ([`role_catalogue`]), and which organisations
//! somebody's agent system users may act for ([`relation_catalogue`]).
//!
//! Portvakt does not keep the register's truth: an operator imports it ([`crate::party_imports`]).

mod customers;
pub(crate) mod model;
mod relation_catalogue;
mod role_catalogue;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use model::{Party, PartyId};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(customers::handler))
}
