//! `GET` of change requests: by the vendor (id, reference, system), by the owner of the system user, by a person who has
//! logged in and may see what the owner has given away.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId};
use serde::Deserialize;
use serde_json::Value;

use super::model::{ChangeRequest, ChangeRequestId};
use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{AccessManagementRead, PartyAccess, PortalUser, RequestRead, Vendor};
use crate::openapi::{self, altinn};
use crate::page::{self, Position};
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::resources::model::built_in::BuiltInResource;
use crate::state::AppState;
use crate::store::Connection;
use crate::{parties, systems};

#[derive(Debug, Deserialize)]
pub(super) struct IdInPath {
    pub(super) request_id: ChangeRequestId,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReferenceInPath {
    system_id: SystemId,
    organization: OrganizationNumber,
    external_ref: String,
}

/// One of the vendor's change requests.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/changerequest/vendor/{request_id}", operation_id = "getVendorChangeRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    responses((status = 200, body = altinn::ChangeRequestResponse), (status = 404, description = "`AUTH-00010`")),
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

/// The newest of the vendor's change requests to the system user of this system, owner and reference.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/changerequest/vendor/byexternalref/{system_id}/{organization}/{external_ref}",
    operation_id = "getVendorChangeRequestByReference", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    responses((status = 200, body = altinn::ChangeRequestResponse), (status = 404, description = "`AUTH-00010`")),
)]
pub(super) async fn for_vendor_by_reference(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(ReferenceInPath { system_id, organization, external_ref }): PathOf<ReferenceInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = store::newest_by_reference(&mut connection, organization, &system_id, &external_ref)
        .await?
        .ok_or(codes::REQUEST_NOT_FOUND)?;
    let request = require_vendors(&mut connection, &caller, request).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// A system's change requests, oldest first, 50 a page.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/changerequest/vendor/bysystem/{system_id}", operation_id = "listChangeRequestsOfSystem", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    params(("token" = Option<String>, Query, description = "From `links.next`")),
    responses((status = 200, body = altinn::Paginated<altinn::ChangeRequestResponse>), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn for_vendor_by_system(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(system_id): PathOf<SystemId>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let after = page::start(&query)?;
    let mut connection = state.store.read().await?;
    systems::store::find(&mut connection, &system_id)
        .await?
        .filter(|system| caller.may_act_for(system.vendor))
        .ok_or(codes::SYSTEM_NOT_FOUND)?;
    let requests = store::of_system(&mut connection, &system_id, after).await?;
    let (public_url, now) = (&state.settings.public_url, state.clock.now());
    Ok(Json(page::page(
        &base,
        &["systemuser", "changerequest", "vendor", "bysystem", system_id.as_str()],
        &requests,
        |request| Position::new(request.created_at, request.id.0),
        |request| request.json(public_url, now),
    )))
}

/// A change request, to the owner of the system user.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/changerequest/{party}/{request_id}", operation_id = "getPartyChangeRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = altinn::ChangeRequestResponse), (status = 404, description = "`AUTH-00010`")),
)]
pub(super) async fn for_party(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementRead>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = partys_own(&mut connection, &caller, request_id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// A change request, to a person who may see what the owner of the system user has given away.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/changerequest/{request_id}", operation_id = "getChangeRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = altinn::ChangeRequestResponseInternal), (status = 404, description = "`AUTH-00010`")),
)]
pub(super) async fn for_person(
    State(state): State<AppState>,
    caller: PortalUser,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = store::find(&mut connection, request_id).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    let party =
        parties::store::find_organization(&mut connection, request.party).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    // Whoever has no business there learns nothing of it.
    let read = (BuiltInResource::AccessManagement, "read");
    caller.require(&state, &mut connection, &party, read, codes::REQUEST_NOT_FOUND).await?;
    Ok(Json(party.named_in(request.json(&state.settings.public_url, state.clock.now()))))
}

/// The change request, if the vendor made it; another's looks like none.
pub(super) async fn vendors_own<A>(
    connection: &mut Connection,
    caller: &Vendor<A>,
    id: ChangeRequestId,
) -> Result<ChangeRequest, Problem> {
    let request = store::find(connection, id).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    require_vendors(connection, caller, request).await
}

async fn require_vendors<A>(
    connection: &mut Connection,
    caller: &Vendor<A>,
    request: ChangeRequest,
) -> Result<ChangeRequest, Problem> {
    let system = systems::store::find(connection, &request.system).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    if caller.may_act_for(system.vendor) { Ok(request) } else { Err(codes::REQUEST_NOT_FOUND.into()) }
}

/// The change request, if the party in the path owns the system user; another's looks like none.
pub(super) async fn partys_own<O>(
    connection: &mut Connection,
    caller: &PartyAccess<O>,
    id: ChangeRequestId,
) -> Result<ChangeRequest, Problem> {
    let request = store::find(connection, id).await?.filter(|request| request.party == caller.organization());
    Ok(request.ok_or(codes::REQUEST_NOT_FOUND)?)
}
