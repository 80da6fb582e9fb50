//! `GET /openid/.well-known/openid-configuration/jwks`: the keys that sign our tokens (RFC 7517, strict base64url).

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::issuing;
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// The keys of our tokens.
#[utoipa::path(
    get, path = "/authentication/api/v1/openid/.well-known/openid-configuration/jwks", operation_id = "getTokenKeys", tag = openapi::LOGIN,
    responses((status = 200, description = "A JWK set", body = Object), (status = 404, description = "`tokens_not_issued`")),
)]
pub(super) async fn handler(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let keys = issuing(&state)?.jwks(state.clock.now());
    Ok(Json(json!({ "keys": keys })))
}
