//! The system register: what vendors offer, and which rights a system may ever ask for.
//!
//! A system belongs to the vendor whose organisation number its id begins with. Its client ids are unique over all live
//! systems. Start with [`model`]; the rules a body must keep are in [`registration`].

mod change_log;
mod delete;
pub(crate) mod end;
mod get;
mod list;
pub(crate) mod model;
mod portal;
mod register;
mod registration;
mod replace;
mod replace_access_packages;
mod replace_rights;
pub(crate) mod store;
mod update;
#[cfg(test)]
mod wrong_bodies;

use policies::id::SystemId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::model::System;
use crate::caller::{RegisterWrite, Vendor};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::handler, register::handler))
        .routes(routes!(get::handler, replace::handler, delete::handler))
        .routes(routes!(replace_rights::handler))
        .routes(routes!(replace_access_packages::handler))
        .routes(routes!(change_log::handler))
        .routes(routes!(portal::list))
        .routes(routes!(portal::get))
        .routes(routes!(portal::rights))
        .routes(routes!(portal::access_packages))
}

/// The system, deleted or not, if the caller may act for its vendor.
async fn own(
    connection: &mut Connection,
    caller: &Vendor<RegisterWrite>,
    id: &SystemId,
    unknown: impl FnOnce() -> Problem,
) -> Result<System, Problem> {
    let system = store::find(connection, id).await?.filter(|system| !system.is_free).ok_or_else(unknown)?;
    if caller.may_act_for(system.vendor) { Ok(system) } else { Err(codes::VENDOR_NOT_OWNER.into()) }
}

fn require_live(system: &System) -> Result<(), Problem> {
    if system.is_deleted {
        return Err(Problem::new(codes::SYSTEM_DELETED).plain_text("Cannot update a system marked as deleted."));
    }
    Ok(())
}
