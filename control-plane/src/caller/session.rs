//! Sessions of people: a token of ours that belongs to one stands while the session does.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::token::{Caller, VerifiedToken};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::bearer::{Found, token_and_claims};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::tokens;

/// A person's token that we have issued ourselves.
#[derive(Debug)]
pub(crate) struct OwnToken {
    pub(crate) claims: Map<String, Value>,
    pub(crate) is_cookie: bool,
}

impl FromRequestParts<AppState> for OwnToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Found { token, claims, is_cookie } = token_and_claims(parts, state).await?;
        let is_person = matches!(token.caller(), Caller::User { .. } | Caller::SelfIdentified { .. });
        if is_person && is_own(state, &token) {
            return Ok(Self { claims, is_cookie });
        }
        Err(Problem::new(codes::CALLER_KIND).detail("needed: a person with a token that was issued here"))
    }
}

/// The session that a token belongs to.
pub(crate) fn session_of(claims: &Map<String, Value>) -> Option<Uuid> {
    Uuid::parse_str(claims.get("sid")?.as_str()?).ok()
}

/// Refuses a token of ours whose session has ended.
pub(super) async fn require_live(
    state: &AppState,
    token: &VerifiedToken,
    claims: &Map<String, Value>,
) -> Result<(), Problem> {
    if !is_own(state, token) {
        return Ok(());
    }
    let Some(session) = session_of(claims) else { return Ok(()) };
    let mut connection = state.store.read().await?;
    if tokens::store::is_session_live(&mut connection, session).await? {
        return Ok(());
    }
    Err(Problem::new(codes::TOKEN_INVALID)
        .detail("the session has ended")
        .member("reason", "session_ended")
        .challenge("Bearer error=\"invalid_token\""))
}

fn is_own(state: &AppState, token: &VerifiedToken) -> bool {
    state.tokens.as_ref().is_some_and(|tokens| tokens.issuer == token.issuer())
}
