//! `POST /systemuser/request/agent/{party}/{requestId}/escalate`: somebody who may not decide passes the request on to those
//! at the party who may.

use axum::Json;
use axum::extract::State;
use serde_json::json;

use super::get::{IdInPath, partys_own};
use crate::caller::{PartyAccess, SystemUserOverviewRead};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::requests::store;
use crate::state::AppState;

/// Whoever sees the party's system users passes the request on to its access managers.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/agent/{party}/{request_id}/escalate", operation_id = "escalateAgentRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00030`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<SystemUserOverviewRead>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let request = partys_own(connection, caller.organization(), request_id).await?;
    let was_escalated = request.is_escalated;
    let request = request.escalate(now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    if !was_escalated {
        store::mark_escalated(connection, request.id).await?;
        let log = json!({ "request": request.id, "party": request.party, "by": caller.user_id() });
        change.commit(now, "request_escalated", log).await?;
    }
    Ok(Json(true))
}
