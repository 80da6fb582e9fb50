//! `POST /portvakt/v1/token-keys`: a new key, published at once, that signs in two days.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::list_keys::json_of;
use super::{issuing, publish_keys};
use crate::caller::Operator;
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// Makes a new key for our tokens.
///
/// It is published at once and signs in two days; the old one stays until its last token has ended. While a new key waits,
/// the answer is that key.
#[utoipa::path(
    post, path = "/portvakt/v1/token-keys", operation_id = "rotateTokenKeys", tag = openapi::LOGIN,
    security(("maskinporten" = ["portvakt:operator"])),
    responses((status = 201, description = "`kid`, `signsFrom`, `isSigning`", body = Object), (status = 404, description = "`tokens_not_issued`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: Operator,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let key = issuing(&state)?.rotate(&state).await.map_err(Problem::internal)?;
    publish_keys(&state).await.map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, Json(json_of(&key))))
}
