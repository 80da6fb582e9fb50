//! The organisation behind the API provider in the path.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::{OrganizationNumber, ProviderId};
use serde::Deserialize;

use super::bearer::{require_scope, verified_token};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

/// May change the resources and routes of `{provider}`.
#[derive(Debug)]
pub(crate) struct ResourceOwner {
    pub(crate) provider: ProviderId,
    pub(crate) organization: OrganizationNumber,
}

#[derive(Deserialize)]
struct ProviderInPath {
    provider: ProviderId,
}

impl FromRequestParts<AppState> for ResourceOwner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["portvakt:resources.write"])?;
        let PathOf(ProviderInPath { provider }) = PathOf::from_request_parts(parts, state).await?;
        let mut connection = state.store.read().await?;
        let owner = resources::store::provider_organization(&mut connection, &provider)
            .await?
            .ok_or(codes::PROVIDER_UNKNOWN)?;
        match token.consumer() {
            Some(organization) if organization == owner => Ok(Self { provider, organization }),
            _ => Err(codes::PROVIDER_NOT_OWNED.into()),
        }
    }
}
