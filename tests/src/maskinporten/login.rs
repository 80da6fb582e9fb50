//! A third issuer: an OpenID Connect provider (code flow with PKCE) whose people are invented and need no password.
//!
//! Anybody may be a client, and is sent back to loopback addresses only. A page asks who one wants to be; the id token says
//! which user that is, and that the login was a strong one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{self, Form, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use super::keys::random_id;
use super::state::{State, now};

/// Below the base address; the issuer is base address + this.
const PATH: &str = "login";
/// The claim that carries the user's number.
pub const USER_ID_CLAIM: &str = "urn:altinn:userid";
const LIFETIME_SECONDS: i64 = 120;
const CODE_SECONDS: i64 = 60;
/// More logins at once than any demo or test has.
const CODES_MAX: usize = 100;

/// Who can log in: number, name, and what the person does.
const PEOPLE: [(u32, &str, &str); 3] = [
    (20_000_001, "Kari Hansen", "Rørlegger Hansen & Sønner AS"),
    (20_000_002, "Ola Fjord", "Fjordbakeriet AS"),
    (20_000_099, "Ingen Ukjent", "har ingen roller"),
];

/// A login that waits for its code to be redeemed.
#[derive(Debug, Clone)]
pub(super) struct Code {
    client_id: String,
    redirect_uri: String,
    code_challenge: String,
    nonce: String,
    user_id: u32,
    expires: i64,
}

pub(super) type Codes = BTreeMap<String, Code>;

/// An authentication request (OpenID Connect Core 3.1.2.1) with PKCE (RFC 7636).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AuthenticationRequest {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// Who one wants to be, and for which request.
#[derive(Debug)]
struct Choice {
    user_id: u32,
    request: AuthenticationRequest,
}

#[derive(Debug, Deserialize)]
struct TokenRequest {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
    client_id: Option<String>,
}

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(&format!("/{PATH}/.well-known/openid-configuration"), get(metadata))
        .route(&format!("/{PATH}/jwks"), get(super::platform::keys))
        .route(&format!("/{PATH}/authorize"), get(choose).post(chosen))
        .route(&format!("/{PATH}/token"), axum::routing::post(redeem))
}

async fn metadata(extract::State(state): extract::State<Arc<State>>) -> Json<Value> {
    let issuer = issuer(&state);
    Json(json!({
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "issuer": issuer,
    }))
}

/// The page that asks who one wants to be.
async fn choose(Query(request): Query<AuthenticationRequest>) -> Result<Html<String>, (StatusCode, &'static str)> {
    request.check()?;
    let hidden: String = request
        .parameters()
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value)))
        .collect();
    let buttons: String = PEOPLE
        .iter()
        .map(|(id, name, what)| {
            format!("<p><button name=\"user_id\" value=\"{id}\">{name}</button> {}</p>", escaped(what))
        })
        .collect();
    Ok(Html(format!(
        "<!DOCTYPE html><html lang=\"nb\"><head><meta charset=\"utf-8\"><title>Hvem er du?</title></head><body>\
         <h1>Hvem er du?</h1><p>Oppdiktede personer, uten passord.</p>\
         <form method=\"post\" action=\"/{PATH}/authorize\">{hidden}{buttons}</form></body></html>"
    )))
}

async fn chosen(
    extract::State(state): extract::State<Arc<State>>,
    Form(choice): Form<BTreeMap<String, String>>,
) -> Result<Response, (StatusCode, &'static str)> {
    let choice: Choice = Choice::read(&choice).ok_or((StatusCode::BAD_REQUEST, "a parameter is missing"))?;
    let mut back = choice.request.check()?;
    let failed = |_| (StatusCode::INTERNAL_SERVER_ERROR, "no code could be made");
    let (code, now) = (random_id().map_err(failed)?, now().map_err(failed)?);
    let request = choice.request;
    let mut codes = state.codes.lock();
    codes.retain(|_, code| now < code.expires);
    if codes.len() >= CODES_MAX {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "too many logins at once"));
    }
    codes.insert(
        code.clone(),
        Code {
            client_id: request.client_id,
            redirect_uri: request.redirect_uri,
            code_challenge: request.code_challenge,
            nonce: request.nonce,
            user_id: choice.user_id,
            expires: now + CODE_SECONDS,
        },
    );
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &request.state);
    Ok(Redirect::to(back.as_str()).into_response())
}

/// A code for an id token; a code is good once.
async fn redeem(
    extract::State(state): extract::State<Arc<State>>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if request.grant_type != "authorization_code" {
        return refused("unsupported_grant_type");
    }
    let Some(code) = state.codes.lock().remove(&request.code) else { return refused("invalid_grant") };
    let Ok(now) = now() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&request.code_verifier));
    let is_its_own = client_id(&headers).or(request.client_id).as_deref() == Some(&code.client_id);
    if now >= code.expires
        || !is_its_own
        || request.redirect_uri != code.redirect_uri
        || challenge != code.code_challenge
    {
        return refused("invalid_grant");
    }
    let claims = json!({
        "iss": issuer(&state), "aud": code.client_id, "sub": format!("user-{}", code.user_id), "nonce": code.nonce,
        "iat": now, "exp": now + LIFETIME_SECONDS, "auth_time": now, "acr": "idporten-loa-high", "amr": ["BankID"],
        USER_ID_CLAIM: code.user_id,
    });
    let (Ok(id_token), Ok(access_token)) = (state.platform_key.sign(&claims), random_id()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let answer = json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "id_token": id_token,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

impl AuthenticationRequest {
    /// The address to go back to, if everything is as it must be.
    fn check(&self) -> Result<Url, (StatusCode, &'static str)> {
        let back = Url::parse(&self.redirect_uri).ok().filter(|url| {
            let is_loopback = match url.host() {
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                Some(Host::Domain(name)) => name == "localhost",
                None => false,
            };
            url.scheme() == "http" && is_loopback
        });
        let back = back.ok_or((StatusCode::BAD_REQUEST, "redirect_uri is no loopback address"))?;
        let is_right = self.response_type == "code"
            && self.code_challenge_method == "S256"
            && self.code_challenge.len() == 43
            && !self.nonce.is_empty()
            && self.scope.split(' ').any(|scope| scope == "openid");
        if is_right { Ok(back) } else { Err((StatusCode::BAD_REQUEST, "needed: code, openid, nonce, PKCE with S256")) }
    }

    fn parameters(&self) -> [(&'static str, &str); 8] {
        [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ]
    }
}

impl Choice {
    fn read(form: &BTreeMap<String, String>) -> Option<Self> {
        let text = |name: &str| form.get(name).cloned();
        let user_id = form.get("user_id")?.parse().ok()?;
        PEOPLE.iter().find(|(known, ..)| *known == user_id)?;
        Some(Self {
            user_id,
            request: AuthenticationRequest {
                response_type: text("response_type")?,
                client_id: text("client_id")?,
                redirect_uri: text("redirect_uri")?,
                scope: text("scope")?,
                state: text("state")?,
                nonce: text("nonce")?,
                code_challenge: text("code_challenge")?,
                code_challenge_method: text("code_challenge_method")?,
            },
        })
    }
}

/// The client of HTTP Basic authentication (RFC 6749 section 2.3.1); any secret will do.
fn client_id(headers: &HeaderMap) -> Option<String> {
    let basic = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
    text.split_once(':').map(|(id, _)| id.to_owned())
}

fn issuer(state: &State) -> String {
    format!("{}{PATH}", state.issuer)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
