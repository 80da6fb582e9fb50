//! What tests and the demo turn: clients, keys, lifetimes and where the look-up is. Loopback only, so without a login.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{self, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::{Host, Url};

use super::clients::Registration;
use super::keys::{SigningAlgorithm, SigningKey};
use super::state::{State, TokenLifetime};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// An order that could not be carried out, with a sentence for the one who turned the wrong way.
#[derive(Debug)]
pub(super) struct AdminError {
    status: StatusCode,
    message: String,
}

impl AdminError {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }
}

impl From<anyhow::Error> for AdminError {
    fn from(error: anyhow::Error) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: format!("{error:#}") }
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

/// A JSON body whose mistakes are answered in one form.
pub(super) struct AdminJson<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for AdminJson<T> {
    type Rejection = AdminError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AdminError> {
        let body = Bytes::from_request(request, state).await.map_err(|error| AdminError::bad(error.body_text()))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| AdminError::bad(error.to_string()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlPlaneOrder {
    url: String,
}

/// Where the look-up is.
pub(super) async fn set_control_plane(
    extract::State(state): extract::State<Arc<State>>,
    AdminJson(order): AdminJson<ControlPlaneOrder>,
) -> Result<StatusCode, AdminError> {
    let url = Url::parse(&order.url).map_err(|error| AdminError::bad(format!("url cannot be read: {error}")))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "http" || !loopback {
        return Err(AdminError::bad("url must be http on a loopback address"));
    }
    *state.control_plane.lock() = Some(url);
    Ok(StatusCode::NO_CONTENT)
}

/// Registers a client, or replaces the one of the same id.
pub(super) async fn register_client(
    extract::State(state): extract::State<Arc<State>>,
    AdminJson(registration): AdminJson<Registration>,
) -> Result<StatusCode, AdminError> {
    state.clients.lock().register(registration).map_err(AdminError::bad)?;
    Ok(StatusCode::CREATED)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RotationOrder {
    algorithm: SigningAlgorithm,
    drop_old: bool,
}

/// Signs with a new key from now on.
pub(super) async fn rotate_keys(
    extract::State(state): extract::State<Arc<State>>,
    AdminJson(order): AdminJson<RotationOrder>,
) -> Result<Json<Value>, AdminError> {
    let algorithm = order.algorithm;
    let key =
        tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await.map_err(anyhow::Error::from)??;
    let answer = json!({ "kid": key.key_id(), "algorithm": algorithm });
    state.keys.lock().rotate(key, order.drop_old);
    Ok(Json(answer))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LifetimeOrder {
    seconds: i64,
    #[serde(default)]
    issued_seconds_ago: i64,
}

/// How long the tokens from now on live; with `issuedSecondsAgo` they are older than they should be, even expired.
pub(super) async fn set_token_lifetime(
    extract::State(state): extract::State<Arc<State>>,
    AdminJson(order): AdminJson<LifetimeOrder>,
) -> Result<StatusCode, AdminError> {
    if !(1..=DAY_SECONDS).contains(&order.seconds) {
        return Err(AdminError::bad(format!("seconds is 1 to {DAY_SECONDS}")));
    }
    if !(0..=DAY_SECONDS).contains(&order.issued_seconds_ago) {
        return Err(AdminError::bad(format!("issuedSecondsAgo is 0 to {DAY_SECONDS}")));
    }
    *state.lifetime.lock() = TokenLifetime { seconds: order.seconds, issued_seconds_ago: order.issued_seconds_ago };
    Ok(StatusCode::NO_CONTENT)
}
