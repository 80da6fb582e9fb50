//! `PUT /portvakt/v1/parties/{party}/free-system-users/{systemUserId}`: the owner changes what its free system user holds, which clients
//! may use it, and its title. What it holds already need not be the caller's to give.

use axum::Json;
use axum::extract::State;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::{compile_policies, require_delegable};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::{Delegation, SystemUser};
use crate::{requested, system_users, systems};

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// The owner changes a free system user: the whole of it.
#[utoipa::path(
    put, path = "/portvakt/v1/parties/{party}/free-system-users/{system_user_id}", operation_id = "replaceFreeSystemUser", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = own::FreeSystemUser,
    responses(
        (status = 200, description = "The system user", body = altinn::SystemUserInternal),
        (status = 400, description = "`field_invalid`, `STD-00000`, `AUTH-00001`, `AUTH-00052`, `AUTH-00053` or `AUTH-00064`"),
        (status = 404, description = "`AUTH-00015`: none of the party's, or of a vendor's system"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let now = state.clock.now();
    compile_policies(&state, state.store.read().await?, &body.rights()?).await?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = system_users::store::find(connection, system_user_id)
        .await?
        .filter(|user| user.owner == caller.organization() && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let system = systems::store::find(connection, &user.system)
        .await?
        .filter(|system| system.is_free)
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let content = body.content(connection, Some(&system)).await?;
    let system = system.replace(content);
    let (rights, access_packages) = body.delegated(connection, &system).await?;
    requested::require_to_come(&rights, now)?;
    let held = system_users::store::held_for_owner(connection, &user).await?;
    let (new_rights, new_packages) = (held.missing_rights(&rights), held.missing_packages(&access_packages));
    require_delegable(&state, connection, caller.user, &caller.party, &new_rights, &new_packages).await?;
    let user = SystemUser { integration_title: body.title()?, ..user };
    let delegation = Delegation { party: user.owner, rights, access_packages };
    systems::store::update(connection, &system).await?;
    system_users::store::update_title(connection, &user).await?;
    system_users::store::replace_delegation(connection, user.id, &delegation).await?;
    let log = json!({ "systemUser": user.id, "system": user.system, "party": user.owner, "by": caller.user_id() });
    change.commit(now, "system_user_changed", log).await?;
    Ok(Json(user.detail_json(&system, &caller.party, &[delegation])))
}
