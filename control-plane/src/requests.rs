//! Requests for system users: a vendor asks, the customer decides.
//!
//! [`model`] is the life of a request; [`approve`] is where a system user comes into being. A request is over when the
//! vendor has withdrawn it, or the customer has withdrawn the system user that came of it ([`current`]). Requests for agent
//! system users have their own operations ([`agent`]).

mod agent;
mod approve;
mod by_system;
mod create;
mod current;
mod dry_run;
mod dry_run_of_system;
mod escalate;
mod expire;
mod get;
mod log_out;
pub(crate) mod model;
mod own;
mod pending;
mod portal;
mod reject;
pub(crate) mod store;
mod take_into_use;
mod withdraw;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use expire::expire;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::handler))
        .routes(routes!(get::for_vendor, withdraw::handler))
        .routes(routes!(get::for_vendor_by_reference))
        .routes(routes!(by_system::handler))
        .routes(routes!(portal::handler))
        .routes(routes!(get::for_party))
        .routes(routes!(escalate::handler))
        .routes(routes!(pending::handler))
        .routes(routes!(pending::of_all_kinds))
        .routes(routes!(log_out::handler))
        .routes(routes!(take_into_use::handler))
        .routes(routes!(approve::handler))
        .routes(routes!(reject::handler))
        .routes(routes!(dry_run::handler))
        .routes(routes!(dry_run_of_system::handler))
        .merge(agent::routes())
}
