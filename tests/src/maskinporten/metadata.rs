//! What Maskinporten publishes about itself: its keys and RFC 8414 metadata.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use serde_json::{Value, json};

use super::state::State;
use super::token::GRANT_TYPE;

pub(super) async fn keys(extract::State(state): extract::State<Arc<State>>) -> Json<Value> {
    Json(state.keys.lock().public_jwks())
}

pub(super) async fn authorization_server(extract::State(state): extract::State<Arc<State>>) -> Json<Value> {
    let issuer = &state.issuer;
    Json(json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}token"),
        "jwks_uri": format!("{issuer}jwk"),
        "grant_types_supported": [GRANT_TYPE],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512"],
        "authorization_details_types_supported": ["urn:altinn:systemuser"],
    }))
}
