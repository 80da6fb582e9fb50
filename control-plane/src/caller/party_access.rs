//! A person who may do something at the party that the call names, as our own decision point says.
//!
//! The policies are the built-in ones (`resources/model/built_in.rs`), the facts the register's roles and the access
//! packages that come with them. An unknown party and one where the person may nothing look the same from outside.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use policies::id::{OrganizationNumber, PartyUuid};
use policies::token::{Caller, IssuerKind, VerifiedToken};
use serde::Deserialize;

use super::bearer::{require_scope, verified_token};
use crate::decisions::of_user::{self, Asked, LoggedInUser, Verdict};
use crate::parameters::PathOf;
use crate::parties::{self, Party, PartyId};
use crate::problem::{Problem, ProblemCode, codes};
use crate::resources::model::built_in::BuiltInResource;
use crate::state::AppState;
use crate::store::Connection;

const PORTAL: &str = "altinn:portal/enduser";

/// Where a call names the party that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartyPlace {
    /// `{party}`: its number.
    Path,
    /// `?party=`: an organisation number or a party uuid.
    Query,
}

/// Something that people do at a party: which right it needs, and which scope of the token.
pub(crate) trait PartyOperation: Send + Sync + 'static {
    const RESOURCE: BuiltInResource;
    const ACTION: &str;
    /// Any of these.
    const SCOPES: &[&str];
    const PLACE: PartyPlace;
    /// What is said to whoever may not.
    const REFUSED: ProblemCode;
}

macro_rules! party_operations {
    ($($(#[$doc:meta])* $name:ident = $resource:ident, $action:literal, $scope:expr, $place:ident, $refused:ident;)+) => {
        $($(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl PartyOperation for $name {
            const RESOURCE: BuiltInResource = BuiltInResource::$resource;
            const ACTION: &str = $action;
            const SCOPES: &[&str] = &[$scope];
            const PLACE: PartyPlace = PartyPlace::$place;
            const REFUSED: ProblemCode = codes::$refused;
        })+
    };
}

party_operations! {
    /// Seeing what a party has given away (AM-R).
    AccessManagementRead = AccessManagement, "read", PORTAL, Path, NOT_PARTY_ADMINISTRATOR;
    /// Giving a party's rights away and taking them back (AM-W).
    AccessManagementWrite = AccessManagement, "write", PORTAL, Path, NOT_PARTY_ADMINISTRATOR;
    /// The same, where the query names the party: what one may give away, what waits for one's decision.
    AccessManagementWriteInQuery = AccessManagement, "write", PORTAL, Query, NOT_PARTY_ADMINISTRATOR;
    /// Seeing a party's system users (OV-R).
    SystemUserOverviewRead = SystemUserOverview, "read", PORTAL, Path, FORBIDDEN;
    /// Seeing which clients a party's agent system users act for (CA-R).
    ClientAdministrationRead = ClientAdministration, "read", PORTAL, Path, FORBIDDEN;
    /// Changing that (CA-W).
    ClientAdministrationWrite = ClientAdministration, "write", PORTAL, Path, FORBIDDEN;
    /// The same as CA-R through a vendor's system (CD-R).
    ClientDelegationRead = ClientAdministration, "read", "altinn:clientdelegations.read", Query, FORBIDDEN;
    /// The same as CA-W through a vendor's system (CD-W).
    ClientDelegationWrite = ClientAdministration, "write", "altinn:clientdelegations.write", Query, FORBIDDEN;
}

/// A person with the scope of `O` that has logged in; which party it acts at is not known yet. Where a call does not name
/// the party itself, the handler finds it and asks [`Person::at`].
#[derive(Debug)]
pub(crate) struct Person<O> {
    pub(crate) user: LoggedInUser,
    operation: PhantomData<O>,
}

/// A person who may do `O` at `party`.
#[derive(Debug)]
pub(crate) struct PartyAccess<O> {
    pub(crate) user: LoggedInUser,
    pub(crate) party: Party,
    operation: PhantomData<O>,
}

/// A person who has logged in to the portal (PORTAL); nothing is said of any party.
#[derive(Debug)]
pub(crate) struct PortalUser {
    pub(crate) user: LoggedInUser,
}

impl<O> PartyAccess<O> {
    pub(crate) fn user_id(&self) -> i64 {
        self.user.user_id
    }

    pub(crate) fn organization(&self) -> OrganizationNumber {
        self.party.organization
    }
}

impl<O: PartyOperation> Person<O> {
    fn of(token: &VerifiedToken) -> Result<Self, Problem> {
        require_scope(token, O::SCOPES)?;
        Ok(Self { user: logged_in(token)?, operation: PhantomData })
    }

    /// The same person at a party, if it may; `None` is a party that is not known.
    pub(crate) async fn at(
        self,
        state: &AppState,
        connection: &mut Connection,
        party: Option<Party>,
    ) -> Result<PartyAccess<O>, Problem> {
        let party = party.ok_or(O::REFUSED)?;
        require(state, connection, self.user, &party, O::RESOURCE, O::ACTION, O::REFUSED).await?;
        Ok(PartyAccess { user: self.user, party, operation: PhantomData })
    }
}

impl PortalUser {
    /// Refuses with `refused` whoever may not do an action on a built-in resource at the party, and says so to whoever might
    /// if it had logged in more strongly.
    pub(crate) async fn require(
        &self,
        state: &AppState,
        connection: &mut Connection,
        party: &Party,
        (resource, action): (BuiltInResource, &str),
        refused: ProblemCode,
    ) -> Result<(), Problem> {
        require(state, connection, self.user, party, resource, action, refused).await
    }

    /// Whether the person may do an action on a built-in resource at the party.
    pub(crate) async fn may(
        &self,
        state: &AppState,
        connection: &mut Connection,
        party: &Party,
        resource: BuiltInResource,
        action: &str,
    ) -> Result<bool, Problem> {
        let asked = Asked { resource: resource.id().to_owned(), action: action.to_owned() };
        let verdicts = of_user::decide(state, connection, self.user, party, vec![asked]).await?;
        Ok(verdicts == [Verdict::Permitted])
    }
}

/// Refuses whoever may not.
async fn require(
    state: &AppState,
    connection: &mut Connection,
    user: LoggedInUser,
    party: &Party,
    resource: BuiltInResource,
    action: &str,
    refused: ProblemCode,
) -> Result<(), Problem> {
    let asked = Asked { resource: resource.id().to_owned(), action: action.to_owned() };
    let verdicts = of_user::decide(state, connection, user, party, vec![asked]).await?;
    match verdicts.as_slice() {
        [Verdict::Permitted] => Ok(()),
        [Verdict::LevelTooLow { needed }] => Err(Problem::new(codes::AUTHENTICATION_LEVEL)
            .detail(format!("needed: {needed}, token: {}", user.authentication_level))),
        _ => Err(refused.into()),
    }
}

/// The person behind a token of a login.
fn logged_in(token: &VerifiedToken) -> Result<LoggedInUser, Problem> {
    match (token.kind(), token.caller()) {
        (IssuerKind::Altinn, Caller::User { user_id, .. }) => {
            Ok(LoggedInUser { user_id: *user_id, authentication_level: token.authentication_level() })
        }
        _ => Err(Problem::new(codes::CALLER_KIND).detail("needed: a person who has logged in")),
    }
}

#[derive(Deserialize)]
struct PartyInPath {
    party: PartyId,
}

/// What `?party=` may be.
enum PartyName {
    Organization(OrganizationNumber),
    Uuid(PartyUuid),
}

/// The party that `?party=` names; `None` is one that is not known.
pub(crate) async fn party_of_query(connection: &mut Connection, query: &str) -> Result<Option<Party>, Problem> {
    Ok(match party_in_query(query)? {
        PartyName::Organization(number) => parties::store::find_organization(connection, number).await?,
        PartyName::Uuid(uuid) => parties::store::find_uuid(connection, uuid).await?,
    })
}

/// The one `party` of a query; other names may occur more often.
fn party_in_query(query: &str) -> Result<PartyName, Problem> {
    let invalid = |detail: &str| Problem::new(codes::QUERY_INVALID).detail(format!("`party`: {detail}"));
    let mut named =
        url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name.eq_ignore_ascii_case("party"));
    match (named.next(), named.next()) {
        (Some((_, text)), None) => party_name(text.trim()).map_err(invalid),
        (None, _) => Err(invalid("missing")),
        (Some(_), Some(_)) => Err(invalid("occurs twice")),
    }
}

fn party_name(text: &str) -> Result<PartyName, &'static str> {
    let organization = OrganizationNumber::parse(text).map(PartyName::Organization).ok();
    organization
        .or_else(|| PartyUuid::parse(text).map(PartyName::Uuid).ok())
        .ok_or("neither an organisation number nor the uuid of a party")
}

impl<O: PartyOperation> FromRequestParts<AppState> for PartyAccess<O> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let person = Person::<O>::from_request_parts(parts, state).await?;
        let mut connection;
        let party = match O::PLACE {
            PartyPlace::Path => {
                let PathOf(PartyInPath { party }) = PathOf::from_request_parts(parts, state).await?;
                connection = state.store.read().await?;
                parties::store::find(&mut connection, party).await?
            }
            PartyPlace::Query => {
                connection = state.store.read().await?;
                party_of_query(&mut connection, parts.uri.query().unwrap_or_default()).await?
            }
        };
        person.at(state, &mut connection, party).await
    }
}

impl<O: PartyOperation> FromRequestParts<AppState> for Person<O> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        Self::of(&verified_token(parts, state).await?)
    }
}

impl FromRequestParts<AppState> for PortalUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = verified_token(parts, state).await?;
        require_scope(&token, &[PORTAL])?;
        Ok(Self { user: logged_in(&token)? })
    }
}

#[cfg(test)]
mod tests;
