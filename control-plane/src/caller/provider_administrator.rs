//! Whoever looks after the API provider in the path: an operator, or the organisation behind it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::{OrganizationNumber, ProviderId};
use serde::Deserialize;

use super::{Operator, ResourceOwner};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

/// May act on what `{provider}`'s gateways do.
#[derive(Debug)]
pub(crate) struct ProviderAdministrator {
    pub(crate) provider: ProviderId,
    pub(crate) organization: OrganizationNumber,
}

#[derive(Deserialize)]
struct ProviderInPath {
    provider: ProviderId,
}

impl FromRequestParts<AppState> for ProviderAdministrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Ok(operator) = Operator::from_request_parts(parts, state).await else {
            let owner = ResourceOwner::from_request_parts(parts, state).await?;
            return Ok(Self { provider: owner.provider, organization: owner.organization });
        };
        let PathOf(ProviderInPath { provider }) = PathOf::from_request_parts(parts, state).await?;
        let mut connection = state.store.read().await?;
        resources::store::provider_organization(&mut connection, &provider).await?.ok_or(codes::PROVIDER_UNKNOWN)?;
        Ok(Self { provider, organization: operator.organization })
    }
}
