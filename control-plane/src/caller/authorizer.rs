//! Whoever may ask for decisions about others.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::bearer::{require_scope, verified_token};
use crate::problem::Problem;
use crate::state::AppState;

/// A caller with Altinn's scope for its decision service, or the one across service owners; here they are worth the same.
#[derive(Debug)]
pub(crate) struct Authorizer;

impl FromRequestParts<AppState> for Authorizer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["altinn:authorization/authorize", "altinn:authorization/authorize.admin"])?;
        Ok(Self)
    }
}
