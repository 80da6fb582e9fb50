//! Gateways: the credentials they prove themselves with, and what each of their workers enforces.
//!
//! A worker says what it enforces with every poll ([`PollReports`]); that is kept in memory, because it is true for a
//! minute and comes again.

mod create_credential;
mod held_polls;
mod list;
mod list_credentials;
mod poll_reports;
mod revoke_credential;
pub(crate) mod store;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

#[cfg(test)]
pub(crate) use held_polls::HELD_POLLS_MAX;
pub(crate) use held_polls::HeldPolls;
pub(crate) use poll_reports::{PollReport, PollReports};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_credentials::handler, create_credential::handler))
        .routes(routes!(revoke_credential::handler))
        .routes(routes!(list::handler))
}
