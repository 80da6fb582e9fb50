//! `POST /systemuser/changerequest/{party}/{requestId}/approve`: the owner agrees.
//!
//! One transaction: the change request is accepted, and the system user holds what it is to hold and no more of what it is
//! not. What it holds already is fine, and so is what it does not hold any more.

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use serde_json::json;

use super::get::{IdInPath, partys_own};
use super::model::{Actions, ChangeRequest, WantedChange};
use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::{compile_policies, require_delegable};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::{Delegation, SystemUser};
use crate::{requested, resources, system_users, systems};

/// The owner agrees: the system user holds what it is to hold, and gateways have it with the next snapshot.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/changerequest/{party}/{request_id}/approve", operation_id = "approveChangeRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00010` or `AUTH-00015`"),
        (status = 409, description = "`AUTH-00013` or `policy_unreadable`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let asked = partys_own(&mut read, &caller, request_id).await?.wanted.required_rights;
    compile_policies(&state, read, &asked).await?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let request = partys_own(connection, &caller, request_id).await?;
    let Accepted { request, user, held, new } = accepted(connection, request, caller.user_id(), now).await?;
    let (rights, packages) = (&new.required_rights, &new.required_packages);
    require_delegable(&state, connection, caller.user, &caller.party, rights, packages).await?;
    let actions = actions(connection, &new).await?;
    let changed = request.wanted.applied_to(held, &actions);
    system_users::store::replace_delegation(connection, user.id, &changed).await?;
    store::update_decision(connection, &request).await?;
    let log = json!({
        "request": request.id, "systemUser": user.id, "system": user.system, "party": user.owner, "by": caller.user_id(),
    });
    change.commit(now, "change_request_approved", log).await?;
    Ok(Json(true))
}

/// What an approval makes.
pub(super) struct Accepted {
    pub(super) request: ChangeRequest,
    user: SystemUser,
    held: Delegation,
    /// The part that is not so already.
    pub(super) new: WantedChange,
}

/// The change request accepted, unless something but the approver's own rights stands in the way.
pub(super) async fn accepted(
    connection: &mut Connection,
    request: ChangeRequest,
    user_id: i64,
    now: Timestamp,
) -> Result<Accepted, Problem> {
    let mut request = request.decide(true, user_id, now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    // What was to end before it was decided is not given.
    request.wanted.required_rights.retain(|right| !right.is_over(now));
    let user = system_users::store::find(connection, request.system_user)
        .await?
        .filter(|user| user.withdrawn_at.is_none() && user.owner == request.party)
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let system = systems::store::find(connection, &user.system)
        .await?
        .filter(|system| !system.is_deleted)
        .ok_or(codes::SYSTEM_NOT_FOUND)?;
    let held = system_users::store::held_for_owner(connection, &user).await?;
    let new = request.wanted.difference(&held);
    requested::require_offered(&system, &new.required_rights, &new.required_packages)?;
    Ok(Accepted { request, user, held, new })
}

/// The actions that there are on the resources of which one action is unwanted.
async fn actions(connection: &mut Connection, wanted: &WantedChange) -> Result<Actions, Problem> {
    let mut actions = Actions::new();
    for right in wanted.unwanted_rights.iter().filter(|right| right.action.is_some()) {
        if actions.contains_key(&right.resource) {
            continue;
        }
        let resource = resources::store::find(connection, &right.resource).await?;
        // Without them more would be taken away than was asked for.
        let known = resource.map(|resource| resource.actions()).transpose().map_err(|error| {
            Problem::new(codes::POLICY_UNREADABLE)
                .detail(error.to_string())
                .member("resource", right.resource.as_str())
                .member("line", error.line)
                .member("reason", error.code)
        })?;
        actions.insert(right.resource.clone(), known.unwrap_or_default().into_iter().collect());
    }
    Ok(actions)
}
