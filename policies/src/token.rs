//! Who calls: a bearer token from Maskinporten or from Altinn's exchange, verified, as a value.
//!
//! [`verify`] is the only way to a [`VerifiedToken`]. It reads the token strictly before any cryptography (`jose`),
//! picks the key by exact issuer and key id, never by anything else the token says, and checks the times against the
//! instant it is given. What a route demands (audience, scope, kind of caller) is [`crate::authorize()`]'s to check.

mod algorithm;
mod cache;
mod claims;
#[cfg(test)]
mod fuzz;
mod jose;
mod jwks;
mod key;
mod refused;
mod signature;

use std::cell::RefCell;
use std::sync::OnceLock;

use crate::Timestamp;
use crate::id::{MaskinportenClientId, OrganizationNumber};
use crate::json::Nodes;
pub use algorithm::{Algorithm, Algorithms};
use cache::is_same;
pub use cache::{CACHED_TOKENS, CACHED_TOKENS_MAX, TokenCache, verify_remembered};
pub(crate) use cache::{Decided, Place};
pub use claims::{Caller, SystemUserClaim};
#[cfg(test)]
pub(crate) use fuzz::Numbers;
use jose::{Decoded, KnownHeaders};
pub use jwks::{KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, KeySetError, key_set};
pub use key::{KeyError, VerificationKey};
pub use signature::{PureRust, SignatureError, VerifySignature, es256_der};

use claims::{Claims, Times};

/// Longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8192;
/// How far clocks may differ, in seconds.
pub const CLOCK_SKEW_SECONDS_MAX: u8 = 10;
/// Longest time a token may still be valid, in seconds, where the issuer's rules say nothing else (Maskinporten: 2 to 10
/// minutes; Altinn: 30 minutes).
pub const LIFETIME_SECONDS_MAX: u32 = 3600;
/// What an issuer's rules may set that to, in seconds.
pub const LIFETIME_SECONDS_LIMITS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Whose tokens an issuer's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssuerKind {
    /// Raw Maskinporten tokens; they carry no authentication level.
    Maskinporten,
    /// Altinn's own tokens, exchanged or from a login.
    Altinn,
    /// Tokens of the platform or of a service owner's app, in the header `PlatformAccessToken`; they say which app calls,
    /// never who acts, and are no bearer tokens.
    Platform,
}

/// What an issuer's tokens must be besides signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerRules {
    /// How far its clock may differ from ours, in seconds, at most [`CLOCK_SKEW_SECONDS_MAX`].
    pub clock_skew_seconds: u8,
    /// Longest time a token may still be valid, in seconds.
    pub lifetime_seconds_max: u32,
    /// Every token names its key; else one without `kid` is the issuer's only key's of the token's algorithm.
    pub is_key_id_required: bool,
    /// Every token names whom it is for.
    pub is_audience_required: bool,
    /// What they may be signed with, each by a key that is for it.
    pub algorithms: Algorithms,
}

impl Default for IssuerRules {
    fn default() -> Self {
        Self {
            clock_skew_seconds: CLOCK_SKEW_SECONDS_MAX,
            lifetime_seconds_max: LIFETIME_SECONDS_MAX,
            is_key_id_required: true,
            is_audience_required: false,
            algorithms: Algorithms::USUAL,
        }
    }
}

/// An issuer whose tokens are accepted, with its keys. Keys belong to one issuer and serve no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// The `iss` claim, compared byte for byte.
    pub issuer: String,
    /// Form of its tokens.
    pub kind: IssuerKind,
    /// Keys that may have signed.
    pub keys: Vec<VerificationKey>,
    /// Authentication level of its tokens when they cannot carry one (Maskinporten; Altinn's exchange stamps 3).
    pub authentication_level: u8,
    /// What its tokens must be besides signed.
    pub rules: IssuerRules,
}

/// Why a token does not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than 8192 bytes")]
    TooLarge,
    /// Not three parts of canonical base64url with strict JSON inside (RFC 7515, RFC 7519).
    #[error("the token is not a well-formed JWT")]
    Malformed,
    /// `alg` is not one that the issuer may use, or not its key's.
    #[error("the token's algorithm is not accepted")]
    AlgorithmNotAccepted,
    /// `typ`, `crit`, or a key inside the header: something this verifier does not honour.
    #[error("the token's header asks for something that is not supported")]
    HeaderNotSupported,
    /// No `kid`, or one of no use.
    #[error("the token names no key")]
    KeyMissing,
    /// `iss` is not a trusted issuer, compared byte for byte.
    #[error("the token's issuer is not trusted")]
    IssuerUnknown,
    /// The issuer has no such key.
    #[error("the token's key is not known for its issuer")]
    KeyUnknown,
    /// The signature is not the issuer's.
    #[error("the token's signature is wrong")]
    SignatureInvalid,
    /// The host could not check the signature.
    #[error("the token's signature could not be checked")]
    SignatureUnchecked,
    /// A claim is missing or of the wrong type.
    #[error("a claim of the token is missing or of the wrong type")]
    ClaimInvalid,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp` is farther away than the issuer's rules allow.
    #[error("the token is valid for too long")]
    LifetimeTooLong,
    /// `cnf` (RFC 7800), or a `token_type` that is not `Bearer`: the token is bound to a key that this call has not proven.
    #[error("the token is bound to a key and cannot be used as a bearer token")]
    Bound,
    /// `authorization_details` is not exactly one system user.
    #[error("the token's authorization details are not exactly one system user")]
    AuthorizationDetailsInvalid,
    /// Claims of more than one kind of caller.
    #[error("the token names more than one kind of caller")]
    CallerAmbiguous,
    /// The token, its client or its system user has been revoked.
    #[error("the token has been revoked")]
    Revoked,
}

impl TokenError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "token_too_large",
            Self::Malformed => "token_malformed",
            Self::AlgorithmNotAccepted => "algorithm_not_accepted",
            Self::HeaderNotSupported => "header_not_supported",
            Self::KeyMissing => "key_missing",
            Self::IssuerUnknown => "issuer_unknown",
            Self::KeyUnknown => "key_unknown",
            Self::SignatureInvalid => "signature_invalid",
            Self::SignatureUnchecked => "signature_unchecked",
            Self::ClaimInvalid => "claim_invalid",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::LifetimeTooLong => "token_lifetime_too_long",
            Self::Bound => "token_bound",
            Self::AuthorizationDetailsInvalid => "authorization_details_invalid",
            Self::CallerAmbiguous => "caller_ambiguous",
            Self::Revoked => "token_revoked",
        }
    }

    /// Every variant, for tables and coverage checks.
    pub const ALL: [Self; 17] = [
        Self::TooLarge,
        Self::Malformed,
        Self::AlgorithmNotAccepted,
        Self::HeaderNotSupported,
        Self::KeyMissing,
        Self::IssuerUnknown,
        Self::KeyUnknown,
        Self::SignatureInvalid,
        Self::SignatureUnchecked,
        Self::ClaimInvalid,
        Self::Expired,
        Self::NotYetValid,
        Self::LifetimeTooLong,
        Self::Bound,
        Self::AuthorizationDetailsInvalid,
        Self::CallerAmbiguous,
        Self::Revoked,
    ];
}

/// A token whose signature and times stand. Only [`verify`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    texts: Texts,
    kind: IssuerKind,
    caller: Caller,
    consumer: Option<OrganizationNumber>,
    client_id: Option<MaskinportenClientId>,
    audiences: Vec<String>,
    authentication_level: u8,
    times: Times,
    rules: IssuerRules,
    key: VerificationKey,
    /// Made where a list of revocations is first looked at.
    revocation_digests: OnceLock<Vec<[u8; 32]>>,
}

/// Texts of a token, one behind the other: they are made, kept and given up at once.
#[derive(Debug, Clone)]
struct Texts {
    all: Box<str>,
    issuer_end: usize,
    /// The rest is the scopes.
    token_id_end: usize,
    has_token_id: bool,
}

impl Texts {
    fn new(issuer: &str, token_id: Option<&str>, scopes: &str) -> Self {
        let (issuer_end, id) = (issuer.len(), token_id.unwrap_or_default());
        let all = [issuer, id, scopes].concat().into_boxed_str();
        Self { all, issuer_end, token_id_end: issuer_end + id.len(), has_token_id: token_id.is_some() }
    }

    fn issuer(&self) -> &str {
        self.all.get(..self.issuer_end).unwrap_or_default()
    }

    fn token_id(&self) -> Option<&str> {
        self.all.get(self.issuer_end..self.token_id_end).filter(|_| self.has_token_id)
    }

    fn scopes(&self) -> &str {
        self.all.get(self.token_id_end..).unwrap_or_default()
    }
}

impl VerifiedToken {
    /// Who signed it.
    pub fn issuer(&self) -> &str {
        self.texts.issuer()
    }

    /// Form of the issuer's tokens.
    pub fn kind(&self) -> IssuerKind {
        self.kind
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The organisation that holds the Maskinporten client (claim `consumer`): a system user's vendor.
    pub fn consumer(&self) -> Option<OrganizationNumber> {
        self.consumer
    }

    /// The Maskinporten client.
    pub fn client_id(&self) -> Option<&MaskinportenClientId> {
        self.client_id.as_ref()
    }

    /// The token's own id (`jti`).
    pub fn token_id(&self) -> Option<&str> {
        self.texts.token_id()
    }

    /// Scopes, as granted; separated by blanks (RFC 6749 section 3.3) in the token.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.texts.scopes().split(' ').filter(|scope| !scope.is_empty())
    }

    /// The scope was granted.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Audiences, empty when the token is for no one in particular.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Authentication level, 0 to 4.
    pub fn authentication_level(&self) -> u8 {
        self.authentication_level
    }

    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        self.times.expires
    }

    /// Under what the token may be revoked, as `make` says the first time.
    pub(crate) fn revocation_digests(&self, make: impl FnOnce(&Self) -> Vec<[u8; 32]>) -> &[[u8; 32]] {
        self.revocation_digests.get_or_init(|| make(self))
    }

    /// Its times still stand.
    pub(crate) fn check_time_again(&self, now: Timestamp) -> Result<(), TokenError> {
        self.times.check(now)
    }

    /// What was verified before still stands: its times do, and its issuer still has the key.
    pub(crate) fn check_again(&self, issuers: &[TrustedIssuer], now: Timestamp) -> Result<(), TokenError> {
        self.times.check(now)?;
        let is_own = |issuer: &&TrustedIssuer| is_same(issuer.issuer.as_bytes(), self.issuer().as_bytes());
        let issuer = issuers.iter().find(is_own).ok_or(TokenError::IssuerUnknown)?;
        let has_key = issuer.keys.iter().any(|key| key.is_copy_of(&self.key));
        let is_same = issuer.kind == self.kind && issuer.rules == self.rules && has_key;
        // The level of tokens that state none is the issuer's, and may have changed.
        let has_level =
            issuer.kind != IssuerKind::Maskinporten || issuer.authentication_level == self.authentication_level;
        if is_same && has_level { Ok(()) } else { Err(TokenError::KeyUnknown) }
    }
}

/// What one token that is read leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    headers: KnownHeaders,
    room: RefCell<(Decoded, Nodes)>,
}

/// The issuer that a token names, before anything about it has been verified: for asking that issuer for its keys, and
/// for nothing else.
pub fn named_issuer(token: &str) -> Option<String> {
    let jwt = jose::parse(token.as_bytes(), &KnownHeaders::default(), Decoded::default()).ok()?;
    Claims::parse(&jwt.decoded.payload, Nodes::default()).ok()?.issuer().ok().map(str::to_owned)
}

/// Verifies a bearer token.
///
/// The order is fixed, cheapest first, and nothing costly happens for a token that cannot stand: size, form, header,
/// issuer, key, claims, times, and the signature last.
pub fn verify(
    token: &str,
    issuers: &[TrustedIssuer],
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<VerifiedToken, TokenError> {
    verify_bytes(token.as_bytes(), issuers, now, signatures, &Reading::default())
}

/// Verifies a bearer token like [`verify`]. One that is accepted is text, without a comma.
pub(crate) fn verify_bytes(
    token: &[u8],
    issuers: &[TrustedIssuer],
    now: Timestamp,
    signatures: &dyn VerifySignature,
    reading: &Reading,
) -> Result<VerifiedToken, TokenError> {
    verify_of(token, issuers, |kind| kind != IssuerKind::Platform, now, signatures, reading)
}

/// Verifies the token of an app (Altinn's header `PlatformAccessToken`).
pub fn verify_platform(
    token: &str,
    issuers: &[TrustedIssuer],
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<VerifiedToken, TokenError> {
    let reading = Reading::default();
    verify_of(token.as_bytes(), issuers, |kind| kind == IssuerKind::Platform, now, signatures, &reading)
}

fn verify_of(
    token: &[u8],
    issuers: &[TrustedIssuer],
    wanted: impl Fn(IssuerKind) -> bool,
    now: Timestamp,
    signatures: &dyn VerifySignature,
    reading: &Reading,
) -> Result<VerifiedToken, TokenError> {
    let (decoded, nodes) = reading.room.take();
    let jwt = jose::parse(token, &reading.headers, decoded)?;
    let algorithm = jwt.header.algorithm;
    let claims = Claims::parse(&jwt.decoded.payload, nodes)?;
    let name = claims.issuer()?;
    let issuer = issuers.iter().find(|issuer| issuer.issuer == name && wanted(issuer.kind));
    let issuer = issuer.ok_or(TokenError::IssuerUnknown)?;
    let rules = issuer.rules;
    if !rules.algorithms.contains(algorithm) {
        return Err(TokenError::AlgorithmNotAccepted);
    }
    let key = match &jwt.header.kid {
        Some(kid) => issuer.keys.iter().find(|key| key.kid() == kid).ok_or(TokenError::KeyUnknown)?,
        None if rules.is_key_id_required => return Err(TokenError::KeyMissing),
        None => only_key(&issuer.keys, algorithm)?,
    };
    if key.algorithm() != algorithm {
        return Err(TokenError::AlgorithmNotAccepted);
    }
    let times = claims.times(rules)?;
    times.check(now)?;
    claims.check_unbound()?;
    let audiences = claims.audiences()?;
    if rules.is_audience_required && audiences.is_empty() {
        return Err(TokenError::ClaimInvalid);
    }
    let consumer = claims.consumer()?;
    let verified = VerifiedToken {
        kind: issuer.kind,
        consumer,
        client_id: claims.client_id()?,
        texts: Texts::new(name, claims.token_id()?, claims.scopes()?),
        audiences,
        authentication_level: match issuer.kind {
            IssuerKind::Maskinporten => issuer.authentication_level,
            IssuerKind::Altinn | IssuerKind::Platform => claims.authentication_level()?,
        },
        caller: claims.caller(issuer.kind, consumer)?,
        times,
        rules,
        key: key.clone(),
        revocation_digests: OnceLock::new(),
    };
    signatures.verify(key, jwt.signing_input, &jwt.decoded.signature).map_err(|error| match error {
        SignatureError::Invalid => TokenError::SignatureInvalid,
        SignatureError::Unavailable => TokenError::SignatureUnchecked,
    })?;
    reading.headers.remember(&jwt.header);
    let nodes = claims.into_room();
    reading.room.replace((jwt.decoded, nodes));
    Ok(verified)
}

/// The one key of the algorithm: among several, a token without `kid` could mean any.
fn only_key(keys: &[VerificationKey], algorithm: Algorithm) -> Result<&VerificationKey, TokenError> {
    let mut of_algorithm = keys.iter().filter(|key| key.algorithm() == algorithm);
    match (of_algorithm.next(), of_algorithm.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(TokenError::KeyMissing),
    }
}
