//! Requests for agent system users: what a vendor asks of an accountant, an auditor, a business manager.
//!
//! They live among the other requests ([`super::model`], [`super::store`]), so that a reference is of one system user, whichever
//! kind it has. They ask for access packages only; what the customer's approver holds is of no importance, because the
//! packages count for clients that are added later ([`crate::client_delegations`]). The vendor takes one back where it takes back
//! the others ([`super::withdraw`]).

mod create;
mod decide;
mod escalate;
mod get;
mod list;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::handler))
        .routes(routes!(get::for_vendor))
        .routes(routes!(get::for_vendor_by_reference))
        .routes(routes!(get::for_party))
        .routes(routes!(get::for_person))
        .routes(routes!(decide::approve))
        .routes(routes!(decide::reject))
        .routes(routes!(escalate::handler))
        .routes(routes!(list::of_system))
        .routes(routes!(list::pending))
}
