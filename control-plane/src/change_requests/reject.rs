//! `POST /systemuser/changerequest/{party}/{requestId}/reject`: the owner refuses.

use axum::Json;
use axum::extract::State;
use serde_json::json;

use super::get::{IdInPath, partys_own};
use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The owner refuses: nothing changes.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/changerequest/{party}/{request_id}/reject", operation_id = "rejectChangeRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00010`"),
        (status = 409, description = "`AUTH-00013`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let request = partys_own(change.connection(), &caller, request_id).await?;
    let request = request.decide(false, caller.user_id(), now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    store::update_decision(change.connection(), &request).await?;
    let log = json!({
        "request": request.id, "systemUser": request.system_user, "system": request.system, "party": request.party,
        "by": caller.user_id(),
    });
    change.commit(now, "change_request_rejected", log).await?;
    Ok(Json(true))
}
