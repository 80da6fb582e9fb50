//! `GET /accessmanagement/api/v1/systemuser/changerequest/{requestId}/logout`: the owner has decided and goes back to the vendor's page, as
//! with requests.

use axum::extract::State;
use axum::response::Response;

use super::get::IdInPath;
use super::store;
use crate::caller::{OwnToken, PortalUser};
use crate::openapi;
use crate::parameters::PathOf;
use crate::parties;
use crate::problem::Problem;
use crate::resources::model::built_in::BuiltInResource;
use crate::state::AppState;
use crate::tokens;

/// Ends the session and sends the browser to the change request's `redirectUrl`.
///
/// Whoever may not see the change request, and everybody if it names no page, is sent to the start page.
#[utoipa::path(
    get, path = "/accessmanagement/api/v1/systemuser/changerequest/{request_id}/logout", operation_id = "logOutOfChangeRequest", tag = openapi::LOGIN,
    responses((status = 303, description = "The cookie is gone")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    person: Result<PortalUser, Problem>,
    token: Result<OwnToken, Problem>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Response, Problem> {
    let mut address = state.settings.public_url.to_string();
    if let Ok(person) = person {
        let mut connection = state.store.read().await?;
        if let Some(request) = store::find(&mut connection, request_id).await?
            && let Some(party) = parties::store::find_organization(&mut connection, request.party).await?
            && person.may(&state, &mut connection, &party, BuiltInResource::AccessManagement, "read").await?
        {
            address = request.redirect_url.unwrap_or(address);
        }
    }
    tokens::log_out(&state, token, &address).await
}
