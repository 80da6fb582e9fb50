//! `GET /exchange/{provider}`: a token of ours for a token of Maskinporten, ID-porten or Altinn Studio.
//!
//! The issuer must be one that the configuration names for this provider, byte for byte, with its own keys; a token that says
//! whom it is for must say us. (Altinn compares a part of the issuer and no audience.)

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use policies::token::{Caller, VerifiedToken};
use policies::urn;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{TokenIssuer, exchanged, issuing, people};
use crate::caller::{self, require_scope_prefix};
use crate::config::ExchangeProvider;
use crate::openapi;
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Scopes of service owners begin so.
const SERVICE_OWNER_SCOPES: &str = "altinn:serviceowner";
/// A kind of caller that Altinn ended in 2026.
const ENTERPRISE_USER: &str = "x-altinn-enterpriseuser-authentication";
/// Stands in for Digdir where only tests are meant.
const TEST_SERVICE_OWNER: (&str, &str) = ("digdir", "ttd");

#[derive(Deserialize)]
pub(super) struct ProviderInPath {
    exchange_provider: String,
}

/// A token of ours for somebody else's.
///
/// The token to exchange is the bearer token.
#[utoipa::path(
    get, path = "/authentication/api/v1/exchange/{exchange_provider}", operation_id = "exchangeToken", tag = openapi::LOGIN,
    security(("maskinporten" = [])),
    params(("test" = Option<bool>, Query, description = "`true`: Digdir's service owner code becomes `ttd`")),
    responses(
        (status = 200, description = "The token (JWT), valid for 30 minutes", content_type = "text/plain", body = String),
        (status = 400, description = "`exchange_provider_unknown`"),
        (status = 410, description = "`enterprise_users_ended`"),
        (status = 404, description = "`tokens_not_issued`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    PathOf(ProviderInPath { exchange_provider }): PathOf<ProviderInPath>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tokens = issuing(&state)?;
    if headers.contains_key(ENTERPRISE_USER) {
        return Err(codes::ENTERPRISE_USERS_ENDED.into());
    }
    caller::require_token(&headers)?;
    let provider = provider(&exchange_provider)?;
    let is_test = query.parsed("test", |text| text.to_ascii_lowercase().parse::<bool>())?.unwrap_or(false);
    let (token, payload) = caller::token_to_exchange(&headers, &state, provider).await?;
    require_audience(tokens, &state, &token)?;
    let claims = match provider {
        ExchangeProvider::Maskinporten => of_machine(tokens, &token, payload, is_test)?,
        ExchangeProvider::IdPorten => of_person(tokens, &state, &token, payload).await?,
        ExchangeProvider::AltinnStudio => {
            let mut claims = of_no_organization(payload);
            claims.insert(urn::CLAIM_AUTHENTICATION_METHOD.to_owned(), json!("altinnstudio"));
            claims
        }
    };
    Ok(answer(tokens.issue(&state, claims).map_err(Problem::internal)?))
}

/// A token as the body of an answer that nobody keeps.
pub(super) fn answer(token: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain"), (header::CACHE_CONTROL, "no-store")], token).into_response()
}

fn provider(name: &str) -> Result<ExchangeProvider, Problem> {
    match name.to_ascii_lowercase().as_str() {
        "id-porten" => Ok(ExchangeProvider::IdPorten),
        "maskinporten" => Ok(ExchangeProvider::Maskinporten),
        "altinnstudio" => Ok(ExchangeProvider::AltinnStudio),
        _ => Err(codes::EXCHANGE_PROVIDER_UNKNOWN.into()),
    }
}

/// Refuses a token that is for somebody else.
fn require_audience(tokens: &TokenIssuer, state: &AppState, token: &VerifiedToken) -> Result<(), Problem> {
    let public_url = state.settings.public_url.as_str();
    let is_ours = |audience: &String| {
        *audience == tokens.issuer
            || audience.trim_end_matches('/') == public_url.trim_end_matches('/')
            || tokens.config.audiences.contains(audience)
    };
    if token.audiences().is_empty() || token.audiences().iter().any(is_ours) {
        return Ok(());
    }
    Err(Problem::new(codes::TOKEN_INVALID)
        .detail("the token is for somebody else")
        .member("reason", "audience_not_accepted")
        .challenge("Bearer error=\"invalid_token\""))
}

fn of_machine(
    tokens: &TokenIssuer,
    token: &VerifiedToken,
    payload: Map<String, Value>,
    is_test: bool,
) -> Result<Map<String, Value>, Problem> {
    let organization = token
        .consumer()
        .ok_or_else(|| Problem::new(codes::VENDOR_UNRESOLVED).challenge("Bearer error=\"invalid_token\""))?;
    let is_system_user = matches!(token.caller(), Caller::SystemUser(_));
    let is_service_owner = token.scopes().any(|scope| scope.starts_with(SERVICE_OWNER_SCOPES));
    let code = tokens.config.service_owners.iter().find(|(_, owner)| **owner == organization).map(|(code, _)| code);
    let code = code.filter(|_| is_service_owner && !is_system_user).map(|code| match TEST_SERVICE_OWNER {
        (real, test) if is_test && code == real => test,
        _ => code.as_str(),
    });
    Ok(exchanged::of_machine(payload, organization, code, token.authentication_level()))
}

/// What is kept of a token whose holder acts for no organisation: neither the one that a person's system belongs to, nor one
/// that an issuer names which is not trusted with organisations.
fn of_no_organization(payload: Map<String, Value>) -> Map<String, Value> {
    let mut claims = exchanged::kept(payload);
    for name in ["consumer", "pid", "authorization_details"] {
        claims.remove(name);
    }
    claims
}

/// A person, through a system that the person has consented to.
async fn of_person(
    tokens: &TokenIssuer,
    state: &AppState,
    token: &VerifiedToken,
    payload: Map<String, Value>,
) -> Result<Map<String, Value>, Problem> {
    require_scope_prefix(token, "altinn:")?;
    let configured = tokens.config.exchange_issuers.iter().find(|known| known.issuer == token.issuer());
    let claim = configured.and_then(|known| known.user_id_claim.as_deref());
    let mut connection = state.store.read().await?;
    let user = people::user_of(&mut connection, &payload, claim).await?.ok_or(codes::USER_UNKNOWN)?;
    let level = people::level_of(&payload);
    let mut claims = of_no_organization(payload);
    claims.extend(people::claims_of(&user, level, "idporten"));
    claims.insert("auth_time".to_owned(), json!(state.clock.now().unix_seconds()));
    Ok(claims)
}
