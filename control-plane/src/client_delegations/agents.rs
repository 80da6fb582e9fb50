//! Agent system users of a party: list, one of them, and the end of one.
//!
//! `GET /systemuser/agent/{party}`, `GET` and `DELETE /systemuser/agent/{party}/{systemUserId}`. Altinn shows one of them among the
//! standard ones ([`crate::system_users`]); so do we.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, PartyUuid, SystemUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess, SystemUserOverviewRead};
use crate::openapi::{self, altinn};
use crate::parameters::{PathOf, Query};
use crate::parties::Party;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::{SystemUser, SystemUserKind};
use crate::{system_users, systems};

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    pub(super) system_user_id: SystemUserId,
}

/// The party's own agent system users.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/agent/{party}", operation_id = "listAgentSystemUsers", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = Vec<altinn::SystemUserInternal>)),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    caller: PartyAccess<SystemUserOverviewRead>,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut connection = state.store.read().await?;
    list_json(&mut connection, &caller.party).await.map(Json)
}

/// One of the party's agent system users.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}", operation_id = "getAgentSystemUser", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = altinn::SystemUserInternal), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    caller: PartyAccess<SystemUserOverviewRead>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let user = owned(&mut connection, system_user_id, caller.organization()).await?;
    let system = systems::store::find(&mut connection, &user.system).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
    Ok(Json(user.detail_json(&system, &caller.party, &[])))
}

/// Ends an agent system user that has no clients any more; its request goes with it.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}", operation_id = "deleteAgentSystemUser", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("facilitatorId" = Option<String>, Query, description = "The party's uuid")),
    responses(
        (status = 200, description = "It is gone"),
        (status = 400, description = "`AUTH-00033`, `AUTH-00034` or `AUTH-00035`"),
        (status = 403, description = "`AUTH-00024` or `AUTH-00066`"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    query: Query,
) -> Result<(), Problem> {
    if query.parsed("facilitatorId", PartyUuid::parse)?.is_some_and(|facilitator| facilitator != caller.party.uuid) {
        return Err(codes::AGENT_NOT_DELETED.into());
    }
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = system_users::store::find(connection, system_user_id).await?;
    if user.is_some_and(|user| user.withdrawn_at.is_none() && user.owner != caller.organization()) {
        return Err(codes::SYSTEM_USER_NOT_OWNED.into());
    }
    let user = owned(connection, system_user_id, caller.organization()).await?;
    if store::has_some(connection, user.id).await? {
        return Err(codes::AGENT_HAS_CLIENTS.into());
    }
    let user = user.withdraw(now).map_err(|_| codes::SYSTEM_USER_NOT_FOUND)?;
    system_users::store::mark_withdrawn(connection, &user).await?;
    let log = json!({ "systemUser": user.id, "party": user.owner, "by": caller.user_id() });
    change.commit(now, "system_user_withdrawn", log).await?;
    Ok(())
}

/// The live agent system users of a party, as its own people see them.
pub(super) async fn list_json(connection: &mut Connection, owner: &Party) -> Result<Vec<Value>, Problem> {
    let users = system_users::store::live_of_owner(connection, owner.organization, SystemUserKind::Agent).await?;
    let mut list = Vec::with_capacity(users.len());
    for user in users {
        let system = systems::store::find(connection, &user.system).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
        list.push(user.internal_json(&system, owner, &[]));
    }
    Ok(list)
}

/// A live agent system user, if it is this organisation's.
pub(super) async fn owned(
    connection: &mut Connection,
    id: SystemUserId,
    owner: OrganizationNumber,
) -> Result<SystemUser, Problem> {
    let user = system_users::store::find(connection, id)
        .await?
        .filter(|user| user.owner == owner && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    if user.kind == SystemUserKind::Agent { Ok(user) } else { Err(codes::SYSTEM_USER_NOT_AGENT.into()) }
}

/// Altinn's clients name the party twice: by number in the path and by uuid.
pub(super) fn require_same_party(party: &Party, uuid: PartyUuid) -> Result<(), Problem> {
    if party.uuid == uuid { Ok(()) } else { Err(codes::FACILITATOR_MISMATCH.into()) }
}
