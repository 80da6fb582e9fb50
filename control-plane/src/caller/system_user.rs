//! A system user itself.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::token::Caller;

use super::bearer::{require_scope, verified_token};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users;
use crate::system_users::model::SystemUser;

/// A live system user of the owner that its token names, with the scope for asking whom it may act for.
#[derive(Debug)]
pub(crate) struct SystemUserCaller {
    pub(crate) user: SystemUser,
}

impl FromRequestParts<AppState> for SystemUserCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &["altinn:accessmanagement/authorizedparties"])?;
        let Caller::SystemUser(claim) = token.caller() else {
            return Err(Problem::new(codes::CALLER_KIND).detail("needed: a system user"));
        };
        let mut connection = state.store.read().await?;
        let user = system_users::store::find(&mut connection, claim.id).await?.filter(|user| {
            let is_its_system = claim.system.as_ref().is_none_or(|system| *system == user.system);
            user.withdrawn_at.is_none() && user.owner == claim.owner && is_its_system
        });
        // Tokens outlive system users.
        user.map(|user| Self { user }).ok_or_else(|| codes::SYSTEM_USER_NOT_FOUND.into())
    }
}
