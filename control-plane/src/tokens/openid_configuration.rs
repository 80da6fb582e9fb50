//! `GET /openid/.well-known/openid-configuration`: who issues our tokens, and where the keys are (OpenID Connect Discovery).

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::issuing;
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// Who issues our tokens.
#[utoipa::path(
    get, path = "/authentication/api/v1/openid/.well-known/openid-configuration", operation_id = "getTokenIssuer", tag = openapi::LOGIN,
    responses((status = 200, description = "Metadata of the issuer", body = Object), (status = 404, description = "`tokens_not_issued`")),
)]
pub(super) async fn handler(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let tokens = issuing(&state)?;
    Ok(Json(json!({
        "issuer": tokens.issuer,
        "jwks_uri": format!("{}.well-known/openid-configuration/jwks", tokens.issuer),
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
        "response_types_supported": [],
    })))
}
