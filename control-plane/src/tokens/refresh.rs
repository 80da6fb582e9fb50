//! `GET /refresh`: a person's token anew, while the session lasts.

use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use policies::Timestamp;
use serde_json::Value;

use super::{cookie, exchange, issuing};
use crate::caller::OwnToken;
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The caller's token anew.
///
/// For people, with a token of ours as bearer token or cookie, until `tokens.session_s` after the login.
#[utoipa::path(
    get, path = "/authentication/api/v1/refresh", operation_id = "refreshToken", tag = openapi::LOGIN,
    security(("user" = [])),
    responses(
        (status = 200, description = "The token (JWT), valid for 30 minutes", content_type = "text/plain", body = String),
        (status = 403, description = "`session_ended`, `caller_kind_refused`"),
        (status = 404, description = "`tokens_not_issued`"),
    ),
)]
pub(super) async fn handler(State(state): State<AppState>, token: OwnToken) -> Result<Response, Problem> {
    let tokens = issuing(&state)?;
    let OwnToken { claims, is_cookie } = token;
    let logged_in_at = claims.get("auth_time").and_then(Value::as_i64).ok_or(codes::SESSION_ENDED)?;
    let ends = Timestamp::from_unix_seconds(logged_in_at).plus_seconds(tokens.config.session_s);
    if state.clock.now() >= ends {
        return Err(codes::SESSION_ENDED.into());
    }
    let token = tokens.issue(&state, claims).map_err(Problem::internal)?;
    let cookie = is_cookie.then(|| cookie::session(&state.settings.public_url, &token)).flatten();
    let mut response = exchange::answer(token);
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
