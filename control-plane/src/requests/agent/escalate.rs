//! `POST /systemuser/request/agent/{party}/{requestId}/escalate`: somebody who may not decide passes the request on to those
//! at the party who may.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use super::get::partys_own;
use crate::caller::PortalUser;
use crate::openapi;
use crate::parameters::PathOf;
use crate::parties::{self, PartyId};
use crate::problem::{Problem, codes};
use crate::requests::model::RequestId;
use crate::requests::portal::{Standing, standing};
use crate::requests::store;
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    party: PartyId,
    request_id: RequestId,
}

/// Somebody who may not decide passes the request on to those who may.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/agent/{party}/{request_id}/escalate", operation_id = "escalateAgentRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "`true`", body = bool), (status = 403, description = "`AUTH-00042` or `AUTH-00044`"),
        (status = 404, description = "`AUTH-00030`"), (status = 409, description = "`AUTH-00013` or `may_approve`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PortalUser,
    PathOf(path): PathOf<InPath>,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let party = parties::store::find(connection, path.party).await?.ok_or(codes::FORBIDDEN)?;
    let standing = standing(&state, connection, &caller, &party).await?.ok_or(codes::FORBIDDEN)?;
    let request = partys_own(connection, party.organization, path.request_id).await?;
    let was_escalated = request.is_escalated;
    let request = request.escalate(now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    if standing == Standing::MayApprove {
        return Err(codes::MAY_APPROVE.into());
    }
    if !was_escalated {
        store::mark_escalated(connection, request.id).await?;
        let by = caller.user.user_id;
        let log = json!({ "request": request.id, "system": request.system, "party": request.party, "by": by });
        change.commit(now, "request_escalated", log).await?;
    }
    Ok(Json(true))
}
