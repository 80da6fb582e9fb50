//! `PUT /portvakt/v1/parties/{party}/systemusers/{systemUserId}/validity`: the owner says when a system user ends by itself.

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use policies::id::SystemUserId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::json::OwnJson;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// When a system user ends by itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Validity {
    /// Null: it does not.
    #[schema(value_type = Option<String>, format = "date-time", required)]
    valid_to: Option<Timestamp>,
}

/// When a system user ends by itself: within two seconds of that instant it is withdrawn, and gateways are told.
#[utoipa::path(
    put, path = "/portvakt/v1/parties/{party}/systemusers/{system_user_id}/validity",
    operation_id = "putSystemUserValidity", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = Validity,
    responses((status = 200, body = Validity), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    OwnJson(validity): OwnJson<Validity>,
) -> Result<Json<Validity>, Problem> {
    let now = state.clock.now();
    if validity.valid_to.is_some_and(|valid_to| valid_to <= now) {
        return Err(Problem::new(codes::FIELD_INVALID).detail("`validTo` is not in the future"));
    }
    let mut change = state.store.change().await?;
    let user = store::find(change.connection(), system_user_id)
        .await?
        .filter(|user| user.owner == caller.organization() && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    store::set_valid_to(change.connection(), user.id, validity.valid_to).await?;
    let log = json!({
        "systemUser": user.id, "party": user.owner, "validTo": validity.valid_to, "by": caller.user_id(),
    });
    change.commit(now, "system_user_validity_set", log).await?;
    Ok(Json(validity))
}
