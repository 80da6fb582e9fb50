//! A person who administers the party in the path.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::OrganizationNumber;
use policies::token::{Caller, IssuerKind};
use serde::Deserialize;

use super::bearer::{require_scope, verified_token};
use crate::parameters::PathOf;
use crate::parties::{self, Party, PartyId};
use crate::problem::{Problem, codes};
use crate::state::AppState;

const AUTHENTICATION_LEVEL_MIN: u8 = 3;

/// Logged in at level 3 or more through Altinn, and holder of a key role at `{party}`.
#[derive(Debug)]
pub(crate) struct PartyAdministrator {
    pub(crate) user_id: i64,
    pub(crate) party: Party,
}

impl PartyAdministrator {
    pub(crate) fn organization(&self) -> OrganizationNumber {
        self.party.organization
    }
}

#[derive(Deserialize)]
struct PartyInPath {
    party: PartyId,
}

impl FromRequestParts<AppState> for PartyAdministrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["altinn:portal/enduser"])?;
        let user_id = match (token.kind(), token.caller()) {
            (IssuerKind::Altinn, Caller::User { user_id, .. }) => *user_id,
            _ => return Err(Problem::new(codes::CALLER_KIND).detail("needed: a person who has logged in")),
        };
        if token.authentication_level() < AUTHENTICATION_LEVEL_MIN {
            return Err(Problem::new(codes::AUTHENTICATION_LEVEL)
                .detail(format!("needed: {AUTHENTICATION_LEVEL_MIN}, token: {}", token.authentication_level())));
        }
        let PathOf(PartyInPath { party }) = PathOf::from_request_parts(parts, state).await?;
        let mut connection = state.store.read().await?;
        // An unknown party and another's party look the same from outside.
        let party = parties::store::find(&mut connection, party).await?.ok_or(codes::NOT_PARTY_ADMINISTRATOR)?;
        if parties::store::has_key_role(&mut connection, user_id, party.organization).await? {
            Ok(Self { user_id, party })
        } else {
            Err(codes::NOT_PARTY_ADMINISTRATOR.into())
        }
    }
}
