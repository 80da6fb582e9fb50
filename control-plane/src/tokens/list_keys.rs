//! `GET /portvakt/v1/token-keys`: which keys are published, and which one signs.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::issuer::KeyState;
use super::issuing;
use crate::caller::Operator;
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// The published keys of our tokens.
#[utoipa::path(
    get, path = "/portvakt/v1/token-keys", operation_id = "listTokenKeys", tag = openapi::LOGIN,
    security(("maskinporten" = ["portvakt:operator"])),
    responses((status = 200, description = "`kid`, `signsFrom`, `isSigning`; oldest first", body = Vec<Object>), (status = 404, description = "`tokens_not_issued`")),
)]
pub(super) async fn handler(State(state): State<AppState>, _caller: Operator) -> Result<Json<Vec<Value>>, Problem> {
    let states = issuing(&state)?.states(state.clock.now());
    Ok(Json(states.iter().map(json_of).collect()))
}

pub(super) fn json_of(key: &KeyState) -> Value {
    json!({ "kid": key.kid, "signsFrom": key.signs_from.to_string(), "isSigning": key.is_signing })
}
