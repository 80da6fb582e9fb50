//! `DELETE /systemuser/agent/{party}/{systemUserId}/client?client&provider`: an agent system user no longer acts for a client.

use axum::extract::State;
use policies::id::{OrganizationNumber, PartyUuid};
use serde_json::{Value, json};

use super::agents::{InPath, owned};
use super::model::ClientDelegation;
use super::store;
use crate::caller::{ClientAdministrationWrite, PartyAccess};
use crate::openapi;
use crate::parameters::{PathOf, Query};
use crate::parties;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::SystemUser;

/// An agent system user no longer acts for a client.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}/client", operation_id = "removeClient", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("provider" = Option<String>, Query, description = "The party's uuid"), ("client" = String, Query, description = "The client's party uuid")),
    responses(
        (status = 200, description = "It is gone"),
        (status = 400, description = "`AUTH-00034`, `AUTH-00038` or `AUTH-00039`"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<ClientAdministrationWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    query: Query,
) -> Result<(), Problem> {
    if query.parsed("provider", PartyUuid::parse)?.is_some_and(|provider| provider != caller.party.uuid) {
        return Err(codes::FACILITATOR_MISMATCH_AT_REMOVAL.into());
    }
    let client = query.required("client", PartyUuid::parse)?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = owned(connection, system_user_id, caller.organization()).await?;
    let party = parties::store::find_uuid(connection, client).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
    let removed = remove(connection, &user, party.organization).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
    change.commit(now, "client_removed", log(&user, &removed, caller.user_id())).await?;
    Ok(())
}

/// Takes a client away; `None` when it is none.
pub(super) async fn remove(
    connection: &mut Connection,
    user: &SystemUser,
    client: OrganizationNumber,
) -> Result<Option<ClientDelegation>, sqlx::Error> {
    let Some(delegation) = store::find(connection, user.id, client).await? else { return Ok(None) };
    store::delete(connection, &delegation).await?;
    Ok(Some(delegation))
}

pub(super) fn log(user: &SystemUser, removed: &ClientDelegation, by: i64) -> Value {
    json!({ "systemUser": user.id, "provider": user.owner, "client": removed.client, "by": by })
}
