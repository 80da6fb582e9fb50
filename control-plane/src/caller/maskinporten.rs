//! Maskinporten itself, asking which system user a client may use.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::bearer::{require_scope, verified_token};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The look-up's caller: the scope, held by an organisation that the configuration names.
#[derive(Debug)]
pub(crate) struct Maskinporten;

impl FromRequestParts<AppState> for Maskinporten {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["altinn:maskinporten/systemuser.read"])?;
        match token.consumer() {
            Some(organization) if state.settings.lookup_organizations.contains(&organization) => Ok(Self),
            _ => Err(codes::ORGANIZATION_NOT_ALLOWED.into()),
        }
    }
}
