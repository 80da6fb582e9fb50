//! The token of a call (RFC 6750, or a session's cookie): read from the one place it may be in, and verified.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::token::{Caller, PureRust, TokenError, VerifiedToken, verify, verify_remembered};
use policies::urn;
use serde_json::{Map, Value};

use super::{cookie, session};
use crate::config::ExchangeProvider;
use crate::issuers;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The token of the call, verified: the bearer token, or without one the session's cookie.
pub(super) async fn verified_token(parts: &Parts, state: &AppState) -> Result<VerifiedToken, Problem> {
    token_and_claims(parts, state).await.map(|found| found.token)
}

/// Altinn's header for calls between apps and the platform.
const PLATFORM_ACCESS_TOKEN: &str = "platformaccesstoken";

/// A verified token with all that it says.
pub(super) struct Found {
    pub(super) token: VerifiedToken,
    pub(super) claims: Map<String, Value>,
    pub(super) is_cookie: bool,
}

/// The token of the call with its claims; a session's token stands while the session does.
pub(super) async fn token_and_claims(parts: &Parts, state: &AppState) -> Result<Found, Problem> {
    let in_cookie = if parts.headers.contains_key(header::AUTHORIZATION) { None } else { cookie::session_of(parts) };
    let text = match in_cookie {
        Some(text) => {
            cookie::require_same_origin(parts, &state.settings.public_url)?;
            text
        }
        None => bearer(&parts.headers)?,
    };
    let token = trusted(state, text).await?;
    let is_person = matches!(token.caller(), Caller::User { .. } | Caller::SelfIdentified { .. });
    if in_cookie.is_some() && !is_person {
        return Err(Problem::new(codes::CALLER_KIND).detail("a cookie is for people"));
    }
    let claims = payload(text)?;
    session::require_live(state, &token, &claims).await?;
    Ok(Found { token, claims, is_cookie: in_cookie.is_some() })
}

/// What a token says that would stand as a bearer token now.
pub(crate) async fn claims_of_standing(state: &AppState, text: &str) -> Result<Map<String, Value>, Problem> {
    let token = trusted(state, text).await?;
    let claims = payload(text)?;
    session::require_live(state, &token, &claims).await?;
    Ok(claims)
}

/// Refuses a call without a bearer token, whatever it is.
pub(crate) fn require_token(headers: &HeaderMap) -> Result<(), Problem> {
    bearer(headers).map(|_| ())
}

/// The bearer token of a call that wants it exchanged, of an issuer that is configured for this.
pub(crate) async fn token_to_exchange(
    headers: &HeaderMap,
    state: &AppState,
    provider: ExchangeProvider,
) -> Result<(VerifiedToken, Map<String, Value>), Problem> {
    let text = bearer(headers)?;
    let now = state.clock.now();
    let check = || verify(text, &state.issuers.exchangeable(provider), now, &PureRust);
    Ok((verified(state, text, &check).await?, payload(text)?))
}

/// The app or component whose platform access token the call carries (Altinn's header `PlatformAccessToken`), if it carries
/// one.
pub(super) async fn platform_token(headers: &HeaderMap, state: &AppState) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(PLATFORM_ACCESS_TOKEN).iter();
    let text = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().unwrap_or_default().trim(),
        (Some(_), Some(_)) => return Err(codes::TOKEN_MISSING.into()),
    };
    let now = state.clock.now();
    verified(state, text, &|| verify(text, &state.issuers.platform(), now, &PureRust)).await?;
    match payload(text)?.get(urn::APP) {
        Some(Value::String(app)) if !app.is_empty() => Ok(Some(app.clone())),
        _ => Err(Problem::new(codes::TOKEN_INVALID).detail("the token names no app").member("reason", "claim_invalid")),
    }
}

/// A token of an issuer that is trusted. Its signature is verified once: Maskinporten asks many times with one token.
async fn trusted(state: &AppState, text: &str) -> Result<VerifiedToken, Problem> {
    let now = state.clock.now();
    let check = || verify_remembered(&state.known_tokens, text, &state.issuers.trusted(), now, &PureRust);
    verified(state, text, &check).await
}

/// Verifies. A key that is not known is looked for at its issuer, once.
async fn verified(
    state: &AppState,
    text: &str,
    check: &(dyn Fn() -> Result<VerifiedToken, TokenError> + Sync),
) -> Result<VerifiedToken, Problem> {
    let verified = match check() {
        Err(TokenError::KeyUnknown) => {
            issuers::refresh(state, text).await;
            check()
        }
        verified => verified,
    };
    let verified = verified.map_err(|error| {
        Problem::new(codes::TOKEN_INVALID)
            .detail(error.to_string())
            .member("reason", error.code())
            .challenge(format!("Bearer error=\"invalid_token\", error_description=\"{error}\""))
    })?;
    // A kind that Altinn ended in 2026; its tokens carry an organisation number and act for a person.
    if *verified.caller() == Caller::EnterpriseUser {
        return Err(Problem::new(codes::CALLER_KIND).detail("enterprise users are no longer accepted"));
    }
    Ok(verified)
}

/// All claims of a token that was verified, which read them strictly.
fn payload(text: &str) -> Result<Map<String, Value>, Problem> {
    let payload = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.ok_or_else(|| Problem::internal(anyhow::anyhow!("a verified token cannot be read")))
}

/// Refuses a token without a scope that begins so.
pub(crate) fn require_scope_prefix(token: &VerifiedToken, prefix: &str) -> Result<(), Problem> {
    if token.scopes().any(|scope| scope.starts_with(prefix)) {
        return Ok(());
    }
    Err(Problem::new(codes::INSUFFICIENT_SCOPE).detail(format!("needed: one that begins with `{prefix}`")))
}

/// Refuses a token that has none of `scopes`.
pub(super) fn require_scope(token: &VerifiedToken, scopes: &[&str]) -> Result<(), Problem> {
    if scopes.iter().any(|scope| token.has_scope(scope)) {
        return Ok(());
    }
    Err(Problem::new(codes::INSUFFICIENT_SCOPE)
        .detail(format!("needed: {}", scopes.join(" or ")))
        .challenge(format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", scopes.first().unwrap_or(&""))))
}

/// What follows `Bearer` in the one `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || Problem::new(codes::TOKEN_MISSING).challenge("Bearer");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(missing());
    };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(missing());
    }
    Ok(token)
}
