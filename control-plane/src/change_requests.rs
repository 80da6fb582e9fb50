//! Change requests: a vendor asks that a standard system user hold more, or less; its owner decides.
//!
//! [`model`] is the life of a change request and what it makes of a delegation; [`create`] is where one comes in ([`verify`]
//! says what it would change), [`approve`] where a system user changes: all of it or nothing, in one transaction.

mod approve;
mod create;
mod dry_run;
mod expire;
mod get;
mod log_out;
mod model;
mod reject;
mod store;
mod target;
mod verify;
mod withdraw;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use expire::expire;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::handler))
        .routes(routes!(verify::handler))
        .routes(routes!(get::for_vendor, withdraw::handler))
        .routes(routes!(get::for_vendor_by_reference))
        .routes(routes!(get::for_vendor_by_system))
        .routes(routes!(get::for_person))
        .routes(routes!(get::for_party))
        .routes(routes!(approve::handler))
        .routes(routes!(reject::handler))
        .routes(routes!(dry_run::handler))
        .routes(routes!(log_out::handler))
}

#[cfg(test)]
mod tests;
