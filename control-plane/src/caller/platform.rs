//! The platform itself.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::bearer::{require_scope, verified_token};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// A part of the operator's own platform: an organisation in `operators`, with the scope for decisions or the operators'.
#[derive(Debug)]
pub(crate) struct Platform;

impl FromRequestParts<AppState> for Platform {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["portvakt:decisions", "portvakt:operator"])?;
        match token.consumer() {
            Some(organization) if state.settings.operators.contains(&organization) => Ok(Self),
            _ => Err(codes::ORGANIZATION_NOT_ALLOWED.into()),
        }
    }
}
