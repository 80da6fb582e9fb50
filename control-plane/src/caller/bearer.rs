//! The bearer token (RFC 6750): read from the one place it may be in, and verified.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use policies::token::{Caller, PureRust, TokenError, VerifiedToken, verify};
use sha2::{Digest as _, Sha256};

use crate::issuers;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The token of the call, verified. A key that is not known is looked for at its issuer, once.
pub(super) async fn verified_token(parts: &Parts, state: &AppState) -> Result<VerifiedToken, Problem> {
    let token = bearer(&parts.headers)?;
    let verified = match check(state, token) {
        Err(TokenError::KeyUnknown) => {
            issuers::refresh(state, token).await;
            check(state, token)
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

/// Lower-case hex of the SHA-256; the form in which credentials are stored.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(state: &AppState, token: &str) -> Result<VerifiedToken, TokenError> {
    verify(token, &state.issuers.trusted(), state.clock.now(), &PureRust)
}
