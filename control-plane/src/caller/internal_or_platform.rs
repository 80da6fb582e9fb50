//! Other parts of the platform (INTERNAL).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::bearer::{require_scope, verified_token};
use crate::problem::Problem;
use crate::state::AppState;

/// Whoever has the scope that only the platform itself is given.
#[derive(Debug)]
pub(crate) struct InternalOrPlatform;

impl FromRequestParts<AppState> for InternalOrPlatform {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["altinn:authentication/systemuser.admin"])?;
        Ok(Self)
    }
}
