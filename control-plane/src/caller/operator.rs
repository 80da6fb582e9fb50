//! Whoever runs the control plane.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::OrganizationNumber;

use super::bearer::{require_scope, verified_token};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The operators' scope, held by an organisation that the configuration names.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) organization: OrganizationNumber,
}

impl FromRequestParts<AppState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["portvakt:operator"])?;
        match token.consumer() {
            Some(organization) if state.settings.operators.contains(&organization) => Ok(Self { organization }),
            _ => Err(codes::ORGANIZATION_NOT_ALLOWED.into()),
        }
    }
}
