//! `POST`, `DELETE`, `GET /systemuser/agent/{party}/{systemUserId}/self?partyUuid`: the owner among the clients of its own agent
//! system user. Altinn's clients send a slash behind `self` ([`crate::aliases`]). No relation is needed for that; whoever manages the owner's access decides.

use axum::Json;
use axum::extract::State;
use policies::id::PartyUuid;
use serde_json::json;

use super::agents::{InPath, owned};
use super::model::ClientDelegation;
use super::{remove, store};
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::openapi;
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The owner becomes a client of its own agent system user.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}/self", operation_id = "addOwnerAsClient", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("partyUuid" = Option<String>, Query, description = "The party's uuid")),
    responses((status = 200, description = "`true`", body = bool), (status = 400, description = "`AUTH-00034` or `AUTH-00040`"), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn add(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    query: Query,
) -> Result<Json<bool>, Problem> {
    require_own(&caller, &query)?;
    let now = state.clock.now();
    let id = state.ids.uuid().map_err(Problem::internal)?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = owned(connection, system_user_id, caller.organization()).await?;
    if store::find(connection, user.id, user.owner).await?.is_none() {
        let (client, created_by) = (user.owner, caller.user_id());
        let delegation = ClientDelegation { id, system_user: user.id, client, created_at: now, created_by };
        store::insert(connection, &delegation, &user.client_packages).await?;
        let log = json!({
            "systemUser": user.id, "provider": user.owner, "client": client, "basis": "self", "by": created_by,
        });
        change.commit(now, "client_added", log).await?;
    }
    Ok(Json(true))
}

/// The owner is no client of its own agent system user any more.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}/self", operation_id = "removeOwnerAsClient", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("partyUuid" = Option<String>, Query, description = "The party's uuid")),
    responses((status = 200, description = "`true`", body = bool), (status = 400, description = "`AUTH-00034`, `AUTH-00038` or `AUTH-00040`"), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    query: Query,
) -> Result<Json<bool>, Problem> {
    require_own(&caller, &query)?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = owned(connection, system_user_id, caller.organization()).await?;
    let removed = remove::remove(connection, &user, user.owner).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
    change.commit(now, "client_removed", remove::log(&user, &removed, caller.user_id())).await?;
    Ok(Json(true))
}

/// Whether the owner is a client of its own agent system user.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}/self", operation_id = "isOwnerClient", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("partyUuid" = Option<String>, Query, description = "The party's uuid")),
    responses((status = 200, body = bool), (status = 400, description = "`AUTH-00034` or `AUTH-00040`"), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    query: Query,
) -> Result<Json<bool>, Problem> {
    require_own(&caller, &query)?;
    let mut connection = state.store.read().await?;
    let user = owned(&mut connection, system_user_id, caller.organization()).await?;
    Ok(Json(store::find(&mut connection, user.id, user.owner).await?.is_some()))
}

fn require_own(caller: &PartyAccess<AccessManagementWrite>, query: &Query) -> Result<(), Problem> {
    match query.parsed("partyUuid", PartyUuid::parse)? {
        Some(party) if party != caller.party.uuid => Err(codes::PARTY_NOT_OWN.into()),
        _ => Ok(()),
    }
}
