//! `POST /systemuser/request/agent/{party}/{requestId}/approve` and `…/reject`: the customer decides.
//!
//! Nobody's own packages are checked: what the agent system user is for is its owner's clients, and each of them is looked at
//! when it is added.

use axum::Json;
use axum::extract::State;
use serde_json::json;

use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::Problem;
use crate::requests::approve::{Accepted, accepted};
use crate::requests::get::IdInPath;
use crate::requests::own::partys_own;
use crate::requests::reject::rejected;
use crate::requests::store;
use crate::state::AppState;
use crate::system_users::{self, model::SystemUserKind};

/// The customer agrees: the agent system user exists, and may be given clients.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/agent/{party}/{request_id}/approve", operation_id = "approveAgentRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00030`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn approve(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let request = partys_own(connection, caller.organization(), SystemUserKind::Agent, request_id).await?;
    let Accepted { request, user, .. } = accepted(connection, request, caller.user_id(), now).await?;
    store::update_decision(connection, &request).await?;
    system_users::store::insert(connection, &user, &[]).await?;
    let log = json!({
        "request": request.id, "kind": request.kind, "system": request.system, "party": request.party,
        "by": caller.user_id(),
    });
    change.commit(now, "request_approved", log).await?;
    Ok(Json(true))
}

/// The customer refuses.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/agent/{party}/{request_id}/reject", operation_id = "rejectAgentRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00030`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn reject(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    rejected(&state, &caller, SystemUserKind::Agent, request_id).await
}
