//! `POST /systemuser/changerequest/vendor/verify`: what a change request would change, without making one. Altinn documents
//! it and does not serve it any more.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::model::{ChangeRequest, ChangeRequestId};
use super::target::{Body, own_system, system_user};
use crate::caller::{RequestWrite, Vendor};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::parameters::Query;
use crate::problem::Problem;
use crate::state::AppState;
use crate::system_users;

/// What a change request would change: the parts that are not so already. `NoChangeNeeded` if all is.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/changerequest/vendor/verify", operation_id = "verifyChangeRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"])),
    params(
        ("system-user-id" = Option<String>, Query, description = "The system user; or its system, owner and reference"),
        ("system-id" = Option<String>, Query, description = "The system"),
        ("orgno" = Option<String>, Query, description = "The owner's organisation number"),
        ("external-ref" = Option<String>, Query, description = "The owner's organisation number by default"),
        ("correlation-id" = Option<String>, Query, description = "Comes back as `id`"),
    ),
    request_body = altinn::ChangeRequestSystemUser,
    responses(
        (status = 200, body = altinn::ChangeRequestResponse), (status = 400, description = "As plain text `correlation_id_invalid`, or a code"), (status = 401, description = "`vendor_not_owner_of_requested`"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestWrite>,
    query: Query,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let id = query.parsed("correlation-id", uuid::Uuid::try_parse)?.unwrap_or_default();
    let mut connection = state.store.read().await?;
    let user = system_user(&mut connection, &query).await?;
    let system = own_system(&mut connection, &caller, &user).await?;
    let redirect_url = body.redirect_url(&system)?;
    let wanted = body.wanted(&mut connection, &system).await?;
    let held = system_users::store::held_for_owner(&mut connection, &user).await?;
    let difference = wanted.difference(&held);
    let request = ChangeRequest::new(ChangeRequestId(id), &user, difference, redirect_url, state.clock.now());
    Ok(Json(request.unstored_json()))
}
