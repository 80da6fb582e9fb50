//! The register of parties: organisations, which of them are sub units, and who holds which role at them. Who may approve
//! follows from it, and part of what users may do ([`role_catalogue`]).
//!
//! Portvakt does not keep the register's truth: an operator imports it ([`import`]).

mod import;
pub(crate) mod model;
mod role_catalogue;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use model::{Party, PartyId};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(import::handler))
}
