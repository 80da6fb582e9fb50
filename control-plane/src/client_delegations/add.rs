//! `POST /systemuser/agent/{party}/{systemUserId}?provider&client`: an agent system user acts for one more client.
//!
//! Added again, a client is there already and nothing changes.

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use policies::id::PartyUuid;
use serde_json::{Value, json};

use super::agents::{InPath, owned, require_same_party};
use super::model::{Candidate, ClientDelegation, delegation_json};
use super::{candidates, store};
use crate::caller::{ClientAdministrationWrite, PartyAccess};
use crate::openapi::{self, clients};
use crate::parameters::{PathOf, Query};
use crate::parties::{self, Party};
use crate::problem::{Problem, codes};
use crate::state::{AppState, Ids};
use crate::store::Connection;
use crate::system_users::model::SystemUser;

/// An agent system user acts for a client; added again, nothing changes.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/agent/{party}/{system_user_id}", operation_id = "addClient", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("provider" = Option<String>, Query, description = "The party's uuid"), ("client" = String, Query, description = "The client's party uuid")),
    responses(
        (status = 200, body = Vec<clients::DelegationResponse>),
        (status = 400, description = "`AUTH-00031`, `AUTH-00034`, `AUTH-00079` or `AUTH-00080`"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<ClientAdministrationWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    query: Query,
) -> Result<Json<Vec<Value>>, Problem> {
    if let Some(provider) = query.parsed("provider", PartyUuid::parse)? {
        require_same_party(&caller.party, provider)?;
    }
    let client = query.required("client", PartyUuid::parse)?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = owned(connection, system_user_id, caller.organization()).await?;
    let party = parties::store::find_uuid(connection, client).await?;
    let added = add(connection, &*state.ids, &user, party, caller.user_id(), now).await?;
    let answer = delegation_json(&added.delegation, &added.candidate);
    if added.is_new {
        change.commit(now, "client_added", added.log(&user)).await?;
    }
    Ok(Json(vec![answer]))
}

/// A client that an agent system user acts for now.
pub(super) struct Added {
    pub(super) delegation: ClientDelegation,
    pub(super) candidate: Candidate,
    /// It was not there before.
    pub(super) is_new: bool,
}

impl Added {
    pub(super) fn log(&self, user: &SystemUser) -> Value {
        json!({
            "systemUser": user.id, "provider": user.owner, "client": self.delegation.client,
            "basis": self.candidate.basis(), "by": self.delegation.created_by,
        })
    }
}

/// Adds a client, if its relations to the owner carry all that the system user holds.
pub(super) async fn add(
    connection: &mut Connection,
    ids: &dyn Ids,
    user: &SystemUser,
    party: Option<Party>,
    by: i64,
    now: Timestamp,
) -> Result<Added, Problem> {
    let party = party.filter(|party| !party.is_struck_off).ok_or(codes::CLIENT_NOT_FOUND)?;
    let client = party.organization;
    let candidate = candidates::of(connection, user.owner, vec![party]).await?.into_iter().next();
    let candidate = candidate.filter(|candidate| !candidate.relations.is_empty()).ok_or(codes::CLIENT_NOT_FOUND)?;
    let lacking = candidate.lacks(&user.client_packages);
    if !lacking.is_empty() {
        return Err(Problem::new(codes::CLIENT_LACKS_PACKAGES).member("missing", json!(lacking)));
    }
    if let Some(delegation) = store::find(connection, user.id, client).await? {
        return Ok(Added { delegation, candidate, is_new: false });
    }
    let id = ids.uuid().map_err(Problem::internal)?;
    let delegation = ClientDelegation { id, system_user: user.id, client, created_at: now, created_by: by };
    store::insert(connection, &delegation, &user.client_packages).await?;
    Ok(Added { delegation, candidate, is_new: true })
}
