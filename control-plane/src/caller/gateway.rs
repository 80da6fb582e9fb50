//! A gateway, known by the credential that its operator was given.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::ProviderId;
use serde::Deserialize;

use super::bearer::bearer;
use crate::gateways;
use crate::hash::sha256_hex;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

/// May fetch the snapshot of `{provider}`.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) provider: ProviderId,
    /// The name of its credential.
    pub(crate) credential: String,
    secret_sha256: String,
}

impl Gateway {
    /// What tells its credential from others; not the secret.
    pub(crate) fn credential_key(&self) -> &str {
        &self.secret_sha256
    }

    /// Checks again, after a wait, that the credential was not revoked meanwhile.
    pub(crate) async fn check_again(&self, state: &AppState) -> Result<(), Problem> {
        let mut connection = state.store.read().await?;
        gateways::store::credential(&mut connection, &self.secret_sha256).await?.map(|_| ()).ok_or_else(refused)
    }
}

fn refused() -> Problem {
    Problem::new(codes::CREDENTIAL_INVALID).challenge("Bearer error=\"invalid_token\"")
}

#[derive(Deserialize)]
struct ProviderInPath {
    provider: ProviderId,
}

impl FromRequestParts<AppState> for Gateway {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let secret_sha256 = sha256_hex(bearer(&parts.headers)?.as_bytes());
        let mut connection = state.store.read().await?;
        let credential = gateways::store::credential(&mut connection, &secret_sha256).await?.ok_or_else(refused)?;
        let PathOf(ProviderInPath { provider }) = PathOf::from_request_parts(parts, state).await?;
        if credential.provider == provider {
            return Ok(Self { provider, credential: credential.name, secret_sha256 });
        }
        match resources::store::provider_organization(&mut connection, &provider).await? {
            Some(_) => Err(codes::CREDENTIAL_OTHER_PROVIDER.into()),
            None => Err(codes::PROVIDER_UNKNOWN.into()),
        }
    }
}
