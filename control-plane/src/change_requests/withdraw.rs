//! `DELETE /systemuser/changerequest/vendor/{requestId}`: the vendor takes back a change request that was not accepted.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::get::{IdInPath, vendors_own};
use super::store;
use crate::caller::{RequestWrite, Vendor};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::requests::model::Status;
use crate::state::AppState;

/// The vendor takes back a change request that was not accepted. Its id stays taken.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemuser/changerequest/vendor/{request_id}", operation_id = "withdrawChangeRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"])),
    responses((status = 202), (status = 404, description = "`AUTH-00010`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<StatusCode, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let request = vendors_own(change.connection(), &caller, request_id).await?;
    // An accepted one is the record of how its system user came to hold what it holds.
    if request.status(now) == Status::Accepted {
        return Err(codes::REQUEST_NOT_NEW.into());
    }
    store::archive(change.connection(), request.id, now).await?;
    let log = json!({
        "request": request.id, "systemUser": request.system_user, "system": request.system, "party": request.party,
        "by": caller.organization(),
    });
    change.commit(now, "change_request_withdrawn", log).await?;
    Ok(StatusCode::ACCEPTED)
}
