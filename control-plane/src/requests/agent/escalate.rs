//! `POST /systemuser/request/agent/{party}/{requestId}/escalate`: somebody who may not decide passes the request on to those
//! at the party who may.

use axum::Json;
use axum::extract::State;

use crate::caller::PortalUser;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::Problem;
use crate::requests::escalate::{InPath, escalated};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

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
    escalated(&state, &caller, path, SystemUserKind::Agent).await
}
