//! `GET` of one request for an agent system user: by the vendor (id or reference), by the party, by a person that has logged in.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::caller::{AccessManagementRead, PartyAccess, PortalUser, RequestRead, Vendor};
use crate::openapi::{self, clients};
use crate::parameters::PathOf;
use crate::parties;
use crate::problem::{Problem, codes};
use crate::requests::get::{IdInPath, ReferenceInPath};
use crate::requests::own::{of_kind, partys_own, vendors_own};
use crate::requests::portal::standing;
use crate::requests::store;
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

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
    let request = vendors_own(&mut connection, &caller, SystemUserKind::Agent, request_id).await?;
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
    let request = vendors_own(&mut connection, &caller, SystemUserKind::Agent, request.id).await?;
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
    let request = partys_own(&mut connection, caller.organization(), SystemUserKind::Agent, request_id).await?;
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
    let request = of_kind(&mut connection, SystemUserKind::Agent, request_id).await?;
    let party = parties::store::find_organization(&mut connection, request.party)
        .await?
        .ok_or(codes::AGENT_REQUEST_NOT_FOUND)?;
    // Whoever has no business there learns nothing of it.
    let standing = standing(&state, &mut connection, &caller, &party).await?.ok_or(codes::AGENT_REQUEST_NOT_FOUND)?;
    Ok(Json(standing.shown(&party, request.json(&state.settings.public_url, state.clock.now()))))
}
