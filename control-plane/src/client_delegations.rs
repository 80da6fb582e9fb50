//! Client delegation: which clients of its owner an agent system user acts for.
//!
//! An organisation may be a client if its relations to the owner (accountant, auditor, business manager) carry *all* access
//! packages of the system user ([`model::Candidate`]); it is one when somebody adds it ([`add`]) and as long as that is so
//! ([`cascade`]). What the system user holds for each client is a delegation like any other, so gateways learn of it as of any
//! other. Ways in: the portal's ([`list`], [`add`], [`remove`], [`own`]), through a vendor's system ([`through_vendor`]),
//! and many clients at once ([`jobs`]).

mod add;
mod agents;
mod authorized_parties;
mod candidates;
pub(crate) mod cascade;
mod change_packages;
pub(crate) mod jobs;
mod list;
pub(crate) mod model;
mod own;
mod page;
mod remove;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod through_vendor;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(agents::list))
        .routes(routes!(agents::get, agents::delete, add::handler))
        .routes(routes!(list::delegations))
        .routes(routes!(list::possible))
        .routes(routes!(remove::handler))
        .routes(routes!(own::get, own::add, own::delete))
        .routes(routes!(through_vendor::agents))
        .routes(routes!(through_vendor::available))
        .routes(routes!(through_vendor::list, through_vendor::post, through_vendor::delete))
        .routes(routes!(authorized_parties::handler))
        .routes(routes!(change_packages::handler))
        .merge(jobs::routes())
}
