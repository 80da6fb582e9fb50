//! `POST /token`: a grant in, an access token in Maskinporten's shape out.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::assertion::{self, Grant};
use super::keys::random_id;
use super::lookup::{self, FoundSystemUser};
use super::organization::Iso6523;
use super::refusal::GrantRefusal;
use super::state::{State, now};

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const FORM: &str = "application/x-www-form-urlencoded";

/// RFC 6749 section 5.1.
#[derive(Debug, Serialize)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
}

pub(super) async fn issue(
    extract::State(state): extract::State<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, GrantRefusal> {
    let assertion = read_form(&headers, &body)?;
    let now = now().map_err(internal)?;
    let grant = {
        let clients = state.clients.lock();
        let mut used = state.used.lock();
        assertion::accept(&assertion, &state.issuer, &clients, &mut used, now)?
    };
    let system_user = match &grant.system_user {
        Some(wanted) => Some((wanted.owner, lookup::system_user(&state, &grant, wanted).await?)),
        None => None,
    };
    let details = system_user.map(|(owner, found)| authorization_details(owner.into(), &found));
    let answer = sign(&state, &grant, details).map_err(internal)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The assertion of a form that has each parameter once (RFC 6749 section 3.2) and the right grant type.
fn read_form(headers: &HeaderMap, body: &[u8]) -> Result<String, GrantRefusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(FORM) {
        return Err(GrantRefusal::invalid_request(format!("The body must be {FORM}")));
    }
    let (mut grant_type, mut assertion) = (None, None);
    for (name, value) in url::form_urlencoded::parse(body) {
        let parameter = match &*name {
            "grant_type" => &mut grant_type,
            "assertion" => &mut assertion,
            _ => continue,
        };
        if parameter.replace(value.into_owned()).is_some() {
            return Err(GrantRefusal::invalid_request(format!("The parameter {name} is repeated")));
        }
    }
    match grant_type.as_deref() {
        Some(GRANT_TYPE) => (),
        Some(_) => return Err(GrantRefusal::unsupported_grant_type()),
        None => return Err(GrantRefusal::invalid_request("The parameter grant_type is missing")),
    }
    assertion.ok_or_else(|| GrantRefusal::invalid_request("The parameter assertion is missing"))
}

fn authorization_details(owner: Iso6523, found: &FoundSystemUser) -> Value {
    let mut detail = json!({
        "type": "urn:altinn:systemuser",
        "systemuser_org": owner,
        "systemuser_id": [found.id],
        "system_id": found.system_id,
    });
    if let (Some(reference), Some(members)) = (&found.external_ref, detail.as_object_mut()) {
        members.insert("externalRef".into(), reference.as_str().into());
    }
    Value::Array(vec![detail])
}

/// As real tokens are: no `aud`, no `sub`, no `nbf`; `consumer` is the organisation of the client, the vendor.
fn sign(state: &State, grant: &Grant, details: Option<Value>) -> anyhow::Result<TokenAnswer> {
    let lifetime = *state.lifetime.lock();
    let issued = now()? - lifetime.issued_seconds_ago;
    let scope = grant.scopes.join(" ");
    let mut claims = json!({
        "scope": scope,
        "iss": state.issuer,
        "client_amr": "private_key_jwt",
        "token_type": "Bearer",
        "exp": issued + lifetime.seconds,
        "iat": issued,
        "client_id": grant.client_id,
        "jti": random_id()?,
        "consumer": Iso6523::from(grant.organization),
    });
    if let (Some(details), Some(members)) = (details, claims.as_object_mut()) {
        members.insert("authorization_details".into(), details);
    }
    Ok(TokenAnswer {
        access_token: state.keys.lock().current().sign(&claims)?,
        token_type: "Bearer",
        expires_in: (lifetime.seconds - lifetime.issued_seconds_ago).max(0),
        scope,
    })
}

fn internal(error: anyhow::Error) -> GrantRefusal {
    tracing::error!("no token could be made: {error:#}");
    GrantRefusal::unavailable("No token could be made")
}
