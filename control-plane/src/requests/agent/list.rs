//! Lists of requests for agent system users: of a system, and those that wait for the customer's access managers.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId};
use serde::Deserialize;
use serde_json::Value;

use crate::base_url::BaseUrl;
use crate::caller::{AccessManagementWrite, PartyAccess, RequestRead, Vendor};
use crate::openapi::{self, altinn, clients};
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::requests::by_system::page_of_kind;
use crate::requests::store;
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

#[derive(Debug, Deserialize)]
pub(super) struct OrganizationInPath {
    organization: OrganizationNumber,
}

/// A system's requests for agent system users, oldest first, 50 a page.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/vendor/agent/bysystem/{system_id}", operation_id = "listAgentRequestsOfSystem", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    params(("token" = Option<String>, Query, description = "From `links.next`")),
    responses((status = 200, body = altinn::Paginated<clients::AgentRequestSystemResponse>), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn of_system(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(system_id): PathOf<SystemId>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let path = ["systemuser", "request", "vendor", "agent", "bysystem", system_id.as_str()];
    page_of_kind(&state, &caller, &system_id, &query, SystemUserKind::Agent, (&base, &path)).await
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
    let waiting = store::undecided(&mut connection, organization, SystemUserKind::Agent, now).await?;
    Ok(Json(waiting.iter().map(|request| request.json(&state.settings.public_url, now)).collect()))
}
