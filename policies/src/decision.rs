//! What [`crate::authorize()`] answers: a [`Permit`] that nothing else can make, or a [`Denial`] that says why.

mod words;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::call::CallError;
use crate::explain::Language;
use crate::id::{AccessPackage, MaskinportenClientId, OrganizationNumber, SystemId, SystemUserId};
use crate::right::Right;
use crate::token::TokenError;

/// The answer to one call.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The call may go through.
    Permit(Permit),
    /// The call may not.
    Denial(Box<Denial>),
}

/// Leave to go through. Only [`crate::authorize()`] makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    // Invariant: private, and built in `authorize.rs` alone.
    pub(crate) route: Arc<str>,
    pub(crate) basis: Basis,
}

impl Permit {
    /// The route that the call took.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// What the permit rests on.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

/// What a permit rests on.
#[derive(Debug, Clone)]
pub enum Basis {
    /// A system user holds the right for the party.
    Right(Arc<RightUsed>),
    /// The route lets callers of this kind in, without asking for a right.
    CallerKind {
        /// The calling organisation, where the token names one.
        organization: Option<OrganizationNumber>,
    },
    /// The route is in shadow mode; enforced, it would have been this denial.
    Shadow(Box<Denial>),
    /// The route is off.
    RouteOff,
    /// The snapshot does not know the caller, and a remote decision point permitted the call.
    Remote(Box<RemoteGrant>),
    /// A CORS preflight for the route: it says nothing of who calls, and changes nothing.
    Preflight,
}

/// A right that a system user used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightHeld {
    /// The system user.
    pub system_user: SystemUserId,
    /// The organisation that owns it.
    pub owner: OrganizationNumber,
    /// The organisation acted for.
    pub party: OrganizationNumber,
    /// The system.
    pub system: SystemId,
    /// The vendor.
    pub vendor: OrganizationNumber,
    /// The Maskinporten client.
    pub client: MaskinportenClientId,
    /// The right.
    pub right: Right,
    /// What gives it.
    pub through: GrantedThrough,
}

/// A right that a system user used, once or again and again.
#[derive(Debug)]
pub struct RightUsed {
    held: RightHeld,
    told: OnceLock<Vec<u8>>,
}

impl RightUsed {
    pub(crate) fn new(held: RightHeld) -> Self {
        Self { held, told: OnceLock::new() }
    }

    /// What a host tells of it, as `make` says the first time. One host tells it in one way.
    pub fn told(&self, make: impl FnOnce(&RightHeld) -> Vec<u8>) -> &[u8] {
        self.told.get_or_init(|| make(&self.held))
    }
}

impl Deref for RightUsed {
    type Target = RightHeld;

    fn deref(&self) -> &RightHeld {
        &self.held
    }
}

/// A right that a remote decision point granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteGrant {
    /// The system user and the organisation that owns it, as the token says, where it is one that calls.
    pub system_user: Option<(SystemUserId, OrganizationNumber)>,
    /// The organisation acted for.
    pub party: OrganizationNumber,
    /// The right.
    pub right: Right,
}

/// What gives a system user a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantedThrough {
    /// An access package that it holds for the party.
    AccessPackage(AccessPackage),
    /// The right was delegated to it directly.
    Delegation,
    /// The resource's policy, evaluated as a whole: no single package gives it.
    Policy,
}

impl std::fmt::Display for GrantedThrough {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AccessPackage(package) => package.fmt(formatter),
            Self::Delegation => formatter.write_str("direct"),
            Self::Policy => formatter.write_str("policy"),
        }
    }
}

/// Refusal of one call, with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: DenialReason,
    /// The route, where one was found.
    pub route: Option<Arc<str>>,
    /// The system user, where the token was verified.
    pub system_user: Option<SystemUserId>,
    /// The party, where it was read.
    pub party: Option<OrganizationNumber>,
    /// The right that the route asks for, told only to callers with a verified token.
    pub right: Option<Right>,
    /// Scopes that are missing.
    pub scopes: Vec<String>,
    /// The authentication level that is needed.
    pub level_required: Option<u8>,
}

impl Denial {
    /// A denial of which no more is known.
    pub fn new(reason: DenialReason) -> Self {
        Self {
            reason,
            route: None,
            system_user: None,
            party: None,
            right: None,
            scopes: Vec::new(),
            level_required: None,
        }
    }

    /// The reason in words, with what is missing. Safe to show to the caller: it names nothing that the caller has not
    /// sent or, with a verified token, may not know.
    pub fn explain(&self) -> String {
        self.explain_in(Language::En)
    }

    /// The same in this language.
    pub fn explain_in(&self, language: Language) -> String {
        let mut text = String::new();
        self.explain_into(&mut text, language);
        text
    }

    /// The same at the end of a text.
    pub fn explain_into(&self, text: &mut String, language: Language) {
        words::push(self, language, text);
    }
}

impl From<DenialReason> for Box<Denial> {
    fn from(reason: DenialReason) -> Self {
        Self::new(Denial::new(reason))
    }
}

impl From<TokenError> for Box<Denial> {
    fn from(error: TokenError) -> Self {
        DenialReason::from(error).into()
    }
}

/// Every reason to refuse, each with a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DenialReason {
    /// The call cannot be read in one way.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The call presents more than one credential.
    #[error("the call presents more than one credential")]
    CredentialsRepeated,
    /// No policy can be used.
    #[error(transparent)]
    Policy(#[from] PolicyTrouble),
    /// No route takes the call.
    #[error("no route takes this call")]
    NoRoute,
    /// No bearer token.
    #[error("the call has no bearer token")]
    TokenMissing,
    /// The token does not stand.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token is for another API.
    #[error("the token is for another audience")]
    AudienceMismatch,
    /// The token lacks a scope.
    #[error("the token lacks a scope")]
    ScopeMissing,
    /// The route does not let callers of this kind in.
    #[error("callers of this kind are not let in here")]
    CallerNotAllowed,
    /// A call that changes something came with a cookie from a page that may not make it.
    #[error("the call comes with a cookie from a page of another origin")]
    OriginNotAllowed,
    /// The route demands the token of an app, too.
    #[error("the call has no platform access token")]
    PlatformTokenMissing,
    /// The token of the app does not stand, or came more than once.
    #[error("the platform access token does not stand")]
    PlatformTokenInvalid,
    /// No such system user.
    #[error("the system user is not known")]
    SystemUserUnknown,
    /// The system user has been withdrawn.
    #[error("the system user has been withdrawn")]
    SystemUserWithdrawn,
    /// The token names another owner than the system user has.
    #[error("the system user does not belong to the organization in the token")]
    OwnerMismatch,
    /// The token names another system than the system user belongs to.
    #[error("the system user does not belong to the system in the token")]
    SystemMismatch,
    /// The token is another vendor's than the system's.
    #[error("the system does not belong to the organization that got the token")]
    VendorMismatch,
    /// The token's client does not belong to the system.
    #[error("the Maskinporten client does not belong to the system")]
    ClientMismatch,
    /// The call does not name the party.
    #[error("the call does not say which organization it acts for")]
    PartyMissing,
    /// The call names the party twice, or not by an organisation number.
    #[error("the call does not name the organization it acts for by one organization number")]
    PartyInvalid,
    /// The system user does not act for the party.
    #[error("the system user does not act for this organization")]
    PartyNotRepresented,
    /// The system user lacks the right.
    #[error("the system user does not hold the right")]
    RightMissing,
    /// The party is not on the resource's access list.
    #[error("the organization acted for is not on the resource's access list")]
    PartyNotListed,
    /// The resource's policy says Deny.
    #[error("the resource's policy denies the call")]
    PolicyDenies,
    /// The resource's policy has no answer (XACML 3.0: Indeterminate).
    #[error("the resource's policy has no answer for the call")]
    PolicyIndeterminate,
    /// The token's authentication level is too low.
    #[error("the authentication level is too low")]
    AuthenticationLevelTooLow,
    /// The policy demands something that this enforcement point does not know (XACML 3.0 section 7.18).
    #[error("the policy demands something that this gateway cannot do")]
    ObligationUnknown,
    /// The snapshot does not know the caller, and the remote decision point does not permit the call.
    #[error("the remote decision point does not permit the call")]
    RemoteDenies,
    /// The snapshot does not know the caller, and the remote decision point gave no decision.
    #[error("the remote decision point gives no decision")]
    RemoteUnavailable,
}

/// Why no policy can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PolicyTrouble {
    /// None has arrived yet.
    #[error("the gateway has no policy yet")]
    Missing,
    /// The control plane has been silent for too long.
    #[error("the gateway's policy is too old")]
    Stale,
    /// The policy's own time is over.
    #[error("the gateway's policy has expired")]
    Expired,
}

impl DenialReason {
    /// Stable code, for logs, metrics and problem bodies.
    pub fn code(self) -> &'static str {
        match self {
            Self::Call(error) => error.code(),
            Self::CredentialsRepeated => "credentials_repeated",
            Self::Policy(PolicyTrouble::Missing) => "policy_missing",
            Self::Policy(PolicyTrouble::Stale) => "policy_stale",
            Self::Policy(PolicyTrouble::Expired) => "policy_expired",
            Self::NoRoute => "no_route",
            Self::TokenMissing => "token_missing",
            Self::Token(error) => error.code(),
            Self::AudienceMismatch => "audience_mismatch",
            Self::ScopeMissing => "scope_missing",
            Self::CallerNotAllowed => "caller_not_allowed",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::PlatformTokenMissing => "platform_token_missing",
            Self::PlatformTokenInvalid => "platform_token_invalid",
            Self::SystemUserUnknown => "system_user_unknown",
            Self::SystemUserWithdrawn => "system_user_withdrawn",
            Self::OwnerMismatch => "owner_mismatch",
            Self::SystemMismatch => "system_mismatch",
            Self::VendorMismatch => "vendor_mismatch",
            Self::ClientMismatch => "client_mismatch",
            Self::PartyMissing => "party_missing",
            Self::PartyInvalid => "party_invalid",
            Self::PartyNotRepresented => "party_not_represented",
            Self::RightMissing => "right_missing",
            Self::PartyNotListed => "party_not_listed",
            Self::PolicyDenies => "policy_denies",
            Self::PolicyIndeterminate => "policy_indeterminate",
            Self::AuthenticationLevelTooLow => "authentication_level_too_low",
            Self::ObligationUnknown => "obligation_unknown",
            Self::RemoteDenies => "remote_pdp_denies",
            Self::RemoteUnavailable => "remote_pdp_unavailable",
        }
    }

    /// The HTTP status: 400 the call, 401 the token, 403 the right, 503 the policy.
    pub fn status(self) -> u16 {
        match self {
            Self::Call(_) | Self::CredentialsRepeated | Self::PartyMissing | Self::PartyInvalid => 400,
            Self::Policy(_) | Self::Token(TokenError::SignatureUnchecked) | Self::RemoteUnavailable => 503,
            Self::TokenMissing | Self::Token(_) | Self::AudienceMismatch => 401,
            Self::NoRoute
            | Self::ScopeMissing
            | Self::CallerNotAllowed
            | Self::OriginNotAllowed
            | Self::PlatformTokenMissing
            | Self::PlatformTokenInvalid
            | Self::SystemUserUnknown
            | Self::SystemUserWithdrawn
            | Self::OwnerMismatch
            | Self::SystemMismatch
            | Self::VendorMismatch
            | Self::ClientMismatch
            | Self::PartyNotRepresented
            | Self::RightMissing
            | Self::PartyNotListed
            | Self::PolicyDenies
            | Self::PolicyIndeterminate
            | Self::AuthenticationLevelTooLow
            | Self::ObligationUnknown
            | Self::RemoteDenies => 403,
        }
    }

    /// Every reason, for metrics, tables and coverage checks.
    pub fn all() -> impl Iterator<Item = Self> {
        const OTHERS: [DenialReason; 33] = [
            DenialReason::Call(CallError::Malformed),
            DenialReason::Call(CallError::Overridden),
            DenialReason::Call(CallError::PathAmbiguous),
            DenialReason::CredentialsRepeated,
            DenialReason::Policy(PolicyTrouble::Missing),
            DenialReason::Policy(PolicyTrouble::Stale),
            DenialReason::Policy(PolicyTrouble::Expired),
            DenialReason::NoRoute,
            DenialReason::TokenMissing,
            DenialReason::AudienceMismatch,
            DenialReason::ScopeMissing,
            DenialReason::CallerNotAllowed,
            DenialReason::OriginNotAllowed,
            DenialReason::PlatformTokenMissing,
            DenialReason::PlatformTokenInvalid,
            DenialReason::SystemUserUnknown,
            DenialReason::SystemUserWithdrawn,
            DenialReason::OwnerMismatch,
            DenialReason::SystemMismatch,
            DenialReason::VendorMismatch,
            DenialReason::ClientMismatch,
            DenialReason::PartyMissing,
            DenialReason::PartyInvalid,
            DenialReason::PartyNotRepresented,
            DenialReason::RightMissing,
            DenialReason::PartyNotListed,
            DenialReason::PolicyDenies,
            DenialReason::PolicyIndeterminate,
            DenialReason::AuthenticationLevelTooLow,
            DenialReason::ObligationUnknown,
            DenialReason::RemoteDenies,
            DenialReason::RemoteUnavailable,
            DenialReason::Token(TokenError::SignatureUnchecked),
        ];
        let tokens = TokenError::ALL.into_iter().filter(|error| *error != TokenError::SignatureUnchecked);
        OTHERS.into_iter().chain(tokens.map(Self::Token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_stable_in_form() {
        let codes: Vec<_> = DenialReason::all().map(DenialReason::code).collect();
        let unique: BTreeSet<_> = codes.iter().collect();
        assert_eq!(unique.len(), codes.len());
        assert_eq!(codes.len(), 49);
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }

    #[test]
    fn words_name_what_is_missing() {
        let right = Right { resource: "vat".parse().unwrap(), action: "read".parse().unwrap() };
        let denial = Denial {
            right: Some(right),
            party: Some("310247049".parse().unwrap()),
            ..Denial::new(DenialReason::RightMissing)
        };
        assert_eq!(denial.explain(), "the system user does not hold `read on vat` for 310247049");
        let nynorsk = denial.explain_in(Language::Nn);
        assert_eq!(nynorsk, "Systembrukaren har ikkje rettigheita «read» på «vat» for 310247049.");
    }

    #[test]
    fn every_reason_has_words_of_its_own_in_every_language() {
        for language in [Language::Nb, Language::Nn, Language::En] {
            let words: BTreeSet<_> =
                DenialReason::all().map(|reason| Denial::new(reason).explain_in(language)).collect();
            assert_eq!(words.len(), DenialReason::all().count(), "{language:?}");
        }
    }
}
