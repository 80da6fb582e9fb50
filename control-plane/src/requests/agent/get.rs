//! `GET` of one request for an agent system user: by the vendor (id or reference), by the party, by a person that has logged in.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId};
use serde::Deserialize;
use serde_json::Value;

use crate::caller::{AccessManagementRead, PartyAccess, PortalUser, RequestRead, Vendor};
use crate::openapi::{self, clients};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::requests::model::{RequestId, SystemUserRequest};
use crate::requests::portal::standing;
use crate::requests::{current, store};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::SystemUserKind;
use crate::{parties, systems};

#[derive(Debug, Deserialize)]
pub(super) struct IdInPath {
    pub(super) request_id: RequestId,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReferenceInPath {
    system_id: SystemId,
    organization: OrganizationNumber,
    external_ref: String,
}

/// A request for an agent system user, to its vendor.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/vendor/agent/{request_id}", operation_id = "getAgentRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    responses((status = 200, body = clients::AgentRequestSystemResponse), (status = 404, description = "`AUTH-00030`")),
)]
pub(super) async fn for_vendor(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = vendors_own(&mut connection, &caller, request_id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// A request for an agent system user, by the vendor's own reference.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/vendor/agent/byexternalref/{system_id}/{organization}/{external_ref}",
    operation_id = "getAgentRequestByReference", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    responses((status = 200, body = clients::AgentRequestSystemResponse), (status = 404, description = "`AUTH-00030`")),
)]
pub(super) async fn for_vendor_by_reference(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(ReferenceInPath { system_id, organization, external_ref }): PathOf<ReferenceInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = store::find_by_reference(&mut connection, organization, &system_id, &external_ref)
        .await?
        .ok_or(codes::AGENT_REQUEST_NOT_FOUND)?;
    let request = vendors_own(&mut connection, &caller, request.id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// A request for an agent system user, to the party that is asked.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/agent/{party}/{request_id}", operation_id = "getAgentRequestOfParty", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = clients::AgentRequestSystemResponse), (status = 404, description = "`AUTH-00030`")),
)]
pub(super) async fn for_party(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementRead>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = partys_own(&mut connection, caller.organization(), request_id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// A request for an agent system user, to somebody of the organisation that is asked.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/agent/{request_id}", operation_id = "getAgentRequestOfPerson", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = clients::AgentRequestSystemResponse), (status = 404, description = "`AUTH-00030`")),
)]
pub(super) async fn for_person(
    State(state): State<AppState>,
    caller: PortalUser,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = agent_request(&mut connection, request_id).await?;
    let party = parties::store::find_organization(&mut connection, request.party)
        .await?
        .ok_or(codes::AGENT_REQUEST_NOT_FOUND)?;
    // Whoever has no business there learns nothing of it.
    let standing = standing(&state, &mut connection, &caller, &party).await?.ok_or(codes::AGENT_REQUEST_NOT_FOUND)?;
    Ok(Json(standing.shown(&party, request.json(&state.settings.public_url, state.clock.now()))))
}

/// The request, if the vendor made it; another's looks like none.
async fn vendors_own<A>(
    connection: &mut Connection,
    caller: &Vendor<A>,
    id: RequestId,
) -> Result<SystemUserRequest, Problem> {
    let request = agent_request(connection, id).await?;
    let system = systems::store::find(connection, &request.system).await?.ok_or(codes::AGENT_REQUEST_NOT_FOUND)?;
    if !caller.may_act_for(system.vendor) {
        return Err(codes::AGENT_REQUEST_NOT_FOUND.into());
    }
    Ok(request)
}

/// The request, if the party in the path is the one that is asked.
pub(super) async fn partys_own(
    connection: &mut Connection,
    party: OrganizationNumber,
    id: RequestId,
) -> Result<SystemUserRequest, Problem> {
    let request = agent_request(connection, id).await?;
    if request.party != party {
        return Err(codes::PARTY_AGENT_REQUEST_MISMATCH.into());
    }
    Ok(request)
}

async fn agent_request(connection: &mut Connection, id: RequestId) -> Result<SystemUserRequest, Problem> {
    let request = current::find(connection, id).await?.filter(|request| request.kind == SystemUserKind::Agent);
    request.ok_or_else(|| codes::AGENT_REQUEST_NOT_FOUND.into())
}
