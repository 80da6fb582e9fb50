//! `GET /logout`: the session ends, and with it every token of it that the control plane is shown.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::{cookie, store};
use crate::caller::{OwnToken, session_of};
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// Ends the session.
///
/// Takes the cookie away, whether or not there was a session, and sends the browser to the start page. Gateways take a token
/// of the session until it ends by itself, at most 30 minutes.
#[utoipa::path(
    get, path = "/authentication/api/v1/logout", operation_id = "logOut", tag = openapi::LOGIN,
    responses((status = 303, description = "The cookie is gone")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    token: Result<OwnToken, Problem>,
) -> Result<Response, Problem> {
    let start = state.settings.public_url.to_string();
    log_out(&state, token, &start).await
}

/// Ends the session of the token, if there is one, and sends the browser to an address.
pub(crate) async fn log_out(
    state: &AppState,
    token: Result<OwnToken, Problem>,
    address: &str,
) -> Result<Response, Problem> {
    // Whoever has no session has none afterwards either.
    if let Some(session) = token.ok().and_then(|token| session_of(&token.claims)) {
        let now = state.clock.now();
        let mut change = state.store.change().await?;
        if store::end_session(change.connection(), session, now).await? {
            change.commit(now, "logged_out", serde_json::json!({ "session": session })).await?;
        }
    }
    let location = HeaderValue::from_str(address).map_err(Problem::internal)?;
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    if let Some(cookie) = cookie::no_session(&state.settings.public_url) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
