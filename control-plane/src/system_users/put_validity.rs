//! `PUT /portvakt/v1/parties/{party}/systemusers/{systemUserId}/validity`: the owner says when a system user ends by itself, and
//! which of its rights end earlier.
//!
//! A right's end is only brought forward here: to hold it longer is to be given it anew, which its giver must be able to do
//! (a change request, [`super::end_expired`] for the end itself).

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use policies::id::{ActionId, ResourceId, SystemUserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::json::OwnJson;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::right::ResourceRight;
use crate::state::AppState;

/// Rights that one call may name: as many as a system may have.
const RIGHTS_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// When a system user ends by itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Validity {
    /// Null: it does not.
    // Required: whoever leaves it out does not mean that there is no end.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(value_type = Option<String>, format = "date-time", required)]
    valid_to: Option<Timestamp>,
    /// Rights that end earlier than they would, at most 1,000; the others stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rights: Vec<RightValidity>,
}

/// When a right ends by itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RightValidity {
    #[schema(value_type = String)]
    resource: ResourceId,
    /// As the right is held: none, if it is for every action.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    action: Option<ActionId>,
    #[schema(value_type = String, format = "date-time")]
    valid_to: Timestamp,
}

/// When a system user ends by itself, or some of its rights do.
///
/// Within two seconds of that instant it is withdrawn, or the right taken away, and gateways are told.
#[utoipa::path(
    put, path = "/portvakt/v1/parties/{party}/systemusers/{system_user_id}/validity",
    operation_id = "putSystemUserValidity", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = Validity,
    responses((status = 200, body = Validity), (status = 400, description = "`field_invalid`, or `AUTH-00001`: a right is not held"), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    OwnJson(validity): OwnJson<Validity>,
) -> Result<Json<Validity>, Problem> {
    let now = state.clock.now();
    if validity.valid_to.into_iter().chain(validity.rights.iter().map(|right| right.valid_to)).any(|end| end <= now) {
        return Err(Problem::new(codes::FIELD_INVALID).detail("`validTo` is not in the future"));
    }
    if validity.rights.len() > RIGHTS_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("at most {RIGHTS_MAX} rights")));
    }
    let mut change = state.store.change().await?;
    let user = store::find(change.connection(), system_user_id)
        .await?
        .filter(|user| user.owner == caller.organization() && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    store::set_valid_to(change.connection(), user.id, validity.valid_to).await?;
    if !validity.rights.is_empty() {
        let mut held = store::held_for_owner(change.connection(), &user).await?;
        for ending in &validity.rights {
            ending.apply_to(&mut held.rights)?;
        }
        store::replace_delegation(change.connection(), user.id, &held).await?;
    }
    let log = json!({
        "systemUser": user.id, "party": user.owner, "validTo": validity.valid_to, "rights": validity.rights,
        "by": caller.user_id(),
    });
    change.commit(now, "system_user_validity_set", log).await?;
    Ok(Json(validity))
}

impl RightValidity {
    /// Brings the end of the held right forward.
    fn apply_to(&self, held: &mut [ResourceRight]) -> Result<(), Problem> {
        let is_meant = |right: &&mut ResourceRight| right.resource == self.resource && right.action == self.action;
        let right = held.iter_mut().find(is_meant).ok_or_else(|| {
            Problem::new(codes::RIGHTS_NOT_DELEGABLE).detail("the system user does not hold the right in this form")
        })?;
        if right.valid_to.is_some_and(|end| end < self.valid_to) {
            return Err(Problem::new(codes::FIELD_INVALID).detail("the right ends earlier already"));
        }
        right.valid_to = Some(self.valid_to);
        Ok(())
    }
}
