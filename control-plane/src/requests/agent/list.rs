//! Lists of requests for agent system users: what waits for the customer's access managers.

use axum::Json;
use axum::extract::State;
use policies::id::OrganizationNumber;
use serde::Deserialize;
use serde_json::Value;

use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::openapi::{self, clients};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::requests::model::Status;
use crate::requests::store;
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

#[derive(Debug, Deserialize)]
pub(super) struct OrganizationInPath {
    organization: OrganizationNumber,
}

/// Requests for agent system users that somebody who may not decide has passed on to those who may.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/agent/{party}/{organization}/pending", operation_id = "listPendingAgentRequests", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = Vec<clients::AgentRequestSystemResponse>), (status = 403, description = "`AUTH-00042` or `AUTH-00066`")),
)]
pub(super) async fn pending(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(OrganizationInPath { organization }): PathOf<OrganizationInPath>,
) -> Result<Json<Vec<Value>>, Problem> {
    if organization != caller.organization() {
        return Err(codes::PARTY_AGENT_REQUEST_MISMATCH.into());
    }
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let requests = store::undecided(&mut connection, organization, SystemUserKind::Agent).await?;
    let waiting = requests.iter().filter(|request| request.is_escalated && request.status(now) == Status::New);
    Ok(Json(waiting.map(|request| request.json(&state.settings.public_url, now)).collect()))
}
