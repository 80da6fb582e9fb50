//! The register of parties: organisations, and who holds which role at them. Who may approve follows from it.
//!
//! Portvakt does not keep the register's truth: an operator imports it ([`import`]).

mod import;
pub(crate) mod model;
pub(crate) mod store;

use axum::Router;
use axum::routing::put;

use crate::state::AppState;

pub(crate) use model::{Party, PartyId};

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/portvakt/v1/parties", put(import::handler))
}
