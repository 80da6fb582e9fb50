//! The second issuer: signs the token a person has after logging in, as Altinn's platform does.
//!
//! It takes the caller's word for who the person is; that is what makes it a stand-in.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::admin::{AdminError, AdminJson};
use super::keys::random_id;
use super::state::{State, now};

/// Below the base address; the issuer is base address + this.
pub(super) const PATH: &str = "platform/authentication/api/v1/openid/";
const SCOPE: &str = "altinn:portal/enduser";
const LIFETIME_SECONDS: i64 = 30 * 60;
const LEVEL_MAX: u8 = 4;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserTokenOrder {
    user_id: u32,
    party_id: u32,
    party_uuid: Uuid,
    level: u8,
}

pub(super) async fn openid_configuration(extract::State(state): extract::State<Arc<State>>) -> Json<Value> {
    let issuer = issuer(&state);
    Json(json!({
        "jwks_uri": format!("{issuer}.well-known/openid-configuration/jwks"),
        "issuer": issuer,
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

pub(super) async fn keys(extract::State(state): extract::State<Arc<State>>) -> Json<Value> {
    Json(json!({ "keys": [state.platform_key.public_jwk()] }))
}

pub(super) async fn user_token(
    extract::State(state): extract::State<Arc<State>>,
    AdminJson(order): AdminJson<UserTokenOrder>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    if order.level > LEVEL_MAX {
        return Err(AdminError::bad(format!("level is 0 to {LEVEL_MAX}")));
    }
    let issued = now()?;
    let token = state.platform_key.sign(&json!({
        "iss": issuer(&state),
        "nameid": order.user_id.to_string(),
        "urn:altinn:userid": order.user_id,
        "urn:altinn:partyid": order.party_id,
        "urn:altinn:party:uuid": order.party_uuid,
        "urn:altinn:authenticatemethod": "BankID",
        "urn:altinn:authlevel": order.level,
        "scope": SCOPE,
        "jti": random_id()?,
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME_SECONDS,
    }))?;
    Ok((StatusCode::CREATED, Json(json!({ "access_token": token }))))
}

fn issuer(state: &State) -> String {
    format!("{}{PATH}", state.issuer)
}
