//! `POST /systemuser/changerequest/vendor`: a vendor asks that a system user hold more, or less.
//!
//! The correlation id makes it one request however often it is sent. A change of nothing is answered and not stored.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::model::{ChangeRequest, WantedChange};
use super::store;
use super::target::{Body, correlation_id, own_system, require_other_id, system_user};
use crate::base_url::BaseUrl;
use crate::caller::{RequestWrite, Vendor};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::parameters::Query;
use crate::problem::{Problem, codes};
use crate::requested;
use crate::requests::model::Status;
use crate::state::AppState;

/// A vendor asks that a system user hold more, or less. The correlation id makes it one request however often it is sent.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/changerequest/vendor", operation_id = "createChangeRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"])),
    params(
        ("correlation-id" = String, Query, description = "The vendor's own uuid for this change"),
        ("system-user-id" = Option<String>, Query, description = "The system user; or its system, owner and reference"),
        ("system-id" = Option<String>, Query, description = "The system"),
        ("orgno" = Option<String>, Query, description = "The owner's organisation number"),
        ("external-ref" = Option<String>, Query, description = "The owner's organisation number by default"),
    ),
    request_body = altinn::ChangeRequestSystemUser,
    responses(
        (status = 201, description = "`Location` is the change request", body = altinn::ChangeRequestResponse),
        (status = 200, description = "It was there already, or nothing is to be changed", body = altinn::ChangeRequestResponse),
        (status = 400, description = "As plain text `correlation_id_invalid`, or a code"), (status = 401, description = "`vendor_not_owner_of_requested`"),
        (status = 404, description = "`AUTH-00015`"), (status = 409, description = "`AUTH-00061`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestWrite>,
    query: Query,
    base: BaseUrl,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    let id = correlation_id(&query)?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = system_user(connection, &query).await?;
    require_other_id(id, &user)?;
    let system = own_system(connection, &caller, &user).await?;
    if body.is_empty() {
        let (redirect_url, nothing) = (body.redirect_url(&system)?, WantedChange::default());
        let unstored = ChangeRequest::new(id, &user, nothing, redirect_url, now);
        return Ok(Json(unstored.unstored_json()).into_response());
    }
    if let Some(existing) = store::find(connection, id).await? {
        if existing.system_user != user.id || existing.status(now) != Status::New {
            return Err(codes::CHANGE_REQUEST_NOT_NEW.into());
        }
        return Ok(Json(existing.json(&state.settings.public_url, now)).into_response());
    }
    if store::is_taken(connection, id).await? {
        return Err(codes::CHANGE_REQUEST_NOT_NEW.into());
    }
    let redirect_url = body.redirect_url(&system)?;
    let wanted = body.wanted(connection, &system).await?;
    requested::require_to_come(&wanted.required_rights, now)?;
    let request = ChangeRequest::new(id, &user, wanted, redirect_url, now);
    store::insert(connection, &request).await?;
    let log = json!({
        "request": request.id, "systemUser": user.id, "system": user.system, "party": user.owner, "by": caller.organization(),
    });
    change.commit(now, "change_requested", log).await?;
    let public_url = &state.settings.public_url;
    let location = format!("{}authentication/api/v1/systemuser/changerequest/{id}", *base);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(request.json(public_url, now))).into_response())
}
