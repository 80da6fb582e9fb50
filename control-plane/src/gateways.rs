//! Gateways: the credentials they prove themselves with, and what each of their workers enforces.
//!
//! A worker says what it enforces with every poll ([`PollReports`]); that is kept in memory, because it is true for a
//! minute and comes again.

mod create_credential;
mod list;
mod poll_reports;
pub(crate) mod store;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub(crate) use poll_reports::{PollReport, PollReports};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/portvakt/v1/providers/{provider}/gateway-credentials", post(create_credential::handler))
        .route("/portvakt/v1/providers/{provider}/gateways", get(list::handler))
}
