//! The snapshot before it is compiled: what the control plane collects and what case files write, as JSON.
//!
//! Serde types only. Unknown members are refused; identifiers are checked as they are read. No gateway reads this form.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::id::{
    AccessPackage, ActionId, MaskinportenClientId, OrganizationNumber, ProviderId, ResourceId, Scope, SystemId,
    SystemUserId,
};
use crate::right::Right;
use crate::token::{Algorithm, Algorithms, CLOCK_SKEW_SECONDS_MAX, LIFETIME_SECONDS_MAX};

/// All that one API provider's gateways enforce.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// Whose gateways these are.
    pub provider: ProviderId,
    /// Whose tokens are accepted.
    #[serde(default)]
    pub issuers: Vec<IssuerDocument>,
    /// What is protected, with the rules that grant it.
    #[serde(default)]
    pub resources: Vec<ResourceDocument>,
    /// Which call needs which right.
    #[serde(default)]
    pub routes: Vec<RouteDocument>,
    /// Registered systems.
    #[serde(default)]
    pub systems: Vec<SystemDocument>,
    /// Active system users.
    #[serde(default)]
    pub system_users: Vec<SystemUserDocument>,
    /// System users withdrawn so recently that tokens may still name them; kept so that the refusal can say so.
    #[serde(default)]
    pub withdrawn_system_users: BTreeSet<SystemUserId>,
    /// Tokens, clients and system users that are refused whatever else is here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<RevocationDocument>,
}

/// Something that is refused until an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RevocationDocument {
    /// What is refused.
    pub revoked: RevokedDocument,
    /// The instant from which on it no longer counts: the last token it could refuse has ended by then.
    pub until: Timestamp,
}

/// What can be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RevokedDocument {
    /// One token.
    Token {
        /// The `iss` claim, exactly.
        issuer: String,
        /// The `jti` claim, exactly.
        id: String,
    },
    /// Every token of a Maskinporten client.
    Client(MaskinportenClientId),
    /// Every token of a system user.
    SystemUser(SystemUserId),
}

/// One trusted issuer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IssuerDocument {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// Form of its tokens.
    pub kind: IssuerKindDocument,
    /// Its public keys (JWK, RFC 7517).
    pub keys: Vec<Value>,
    /// Authentication level of tokens that cannot carry one, 0 to 4.
    #[serde(default = "default_level")]
    pub authentication_level: u8,
    /// How far its clock may differ, 0 to 10 seconds.
    #[serde(default = "default_clock_skew_seconds")]
    pub clock_skew_seconds: u8,
    /// Longest time a token may still be valid, 60 to 86,400 seconds.
    #[serde(default = "default_token_lifetime_seconds_max")]
    pub token_lifetime_seconds_max: u32,
    /// Every token names its key (`kid`); else one may go without where the issuer has one key of its algorithm.
    #[serde(default = "yes")]
    pub key_id_required: bool,
    /// Every token has an audience.
    #[serde(default)]
    pub audience_required: bool,
    /// What its tokens may be signed with.
    #[serde(default = "usual_algorithms")]
    pub algorithms: Vec<AlgorithmDocument>,
}

fn usual_algorithms() -> Vec<AlgorithmDocument> {
    Algorithms::USUAL.iter().map(AlgorithmDocument::from).collect()
}

/// An algorithm of signatures (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlgorithmDocument {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PSS with SHA-256; a key is for it where its `alg` says so.
    #[serde(rename = "PS256")]
    Ps256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl From<Algorithm> for AlgorithmDocument {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::Rs256,
            Algorithm::Es256 => Self::Es256,
            Algorithm::Ps256 => Self::Ps256,
            Algorithm::EdDsa => Self::EdDsa,
        }
    }
}

impl From<AlgorithmDocument> for Algorithm {
    fn from(algorithm: AlgorithmDocument) -> Self {
        match algorithm {
            AlgorithmDocument::Rs256 => Self::Rs256,
            AlgorithmDocument::Es256 => Self::Es256,
            AlgorithmDocument::Ps256 => Self::Ps256,
            AlgorithmDocument::EdDsa => Self::EdDsa,
        }
    }
}

fn default_level() -> u8 {
    3
}

fn default_clock_skew_seconds() -> u8 {
    CLOCK_SKEW_SECONDS_MAX
}

fn default_token_lifetime_seconds_max() -> u32 {
    LIFETIME_SECONDS_MAX
}

fn yes() -> bool {
    true
}

/// Form of an issuer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerKindDocument {
    /// Raw Maskinporten tokens.
    Maskinporten,
    /// Altinn's own tokens.
    Altinn,
    /// Tokens of apps, in the header `PlatformAccessToken`.
    Platform,
}

/// A protected resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResourceDocument {
    /// Its id in the Resource Registry.
    pub id: ResourceId,
    /// The rules of its policy, in order.
    #[serde(default)]
    pub rules: Vec<RuleDocument>,
    /// Obligation `urn:altinn:minimum-authenticationlevel`, 0 when there is none.
    #[serde(default)]
    pub minimum_authentication_level: u8,
    /// Ids of obligations that gateways do not know. One is enough to refuse every call (XACML 3.0 section 7.18).
    #[serde(default)]
    pub unknown_obligations: BTreeSet<String>,
    /// The policy itself, instead of rules, level and obligations: it is read when the document is compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySourceDocument>,
    /// Who may be acted for at all; without it, everybody. An empty list is nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_list: Option<Vec<AccessListMemberDocument>>,
    /// `PolicyId`, for explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_id: Option<String>,
    /// `Version` of the policy, for explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<String>,
}

impl ResourceDocument {
    /// A resource that nobody has a right on.
    pub fn new(id: ResourceId) -> Self {
        Self {
            id,
            rules: Vec::new(),
            minimum_authentication_level: 0,
            unknown_obligations: BTreeSet::new(),
            policy: None,
            access_list: None,
            policy_id: None,
            policy_version: None,
        }
    }
}

impl RuleDocument {
    /// A rule without a name.
    pub fn new(actions: BTreeSet<ActionId>, access_packages: BTreeSet<AccessPackage>) -> Self {
        Self { actions, access_packages, id: None, line: None }
    }
}

/// A XACML policy and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicySourceDocument {
    /// `altinn` or `standard`.
    #[serde(default)]
    pub semantics: SemanticsDocument,
    /// The XML.
    pub xml: String,
}

/// How a policy is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticsDocument {
    /// As Altinn's engine does.
    #[default]
    Altinn,
    /// As XACML 3.0 says.
    Standard,
}

/// A place on a resource's access list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AccessListMemberDocument {
    /// The organisation acted for.
    pub party: OrganizationNumber,
    /// The actions it is listed for; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<BTreeSet<ActionId>>,
}

/// One rule: the actions, and the access packages that grant them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleDocument {
    /// The actions.
    pub actions: BTreeSet<ActionId>,
    /// Any one of these grants the actions; none at all leaves them to direct delegation.
    #[serde(default)]
    pub access_packages: BTreeSet<AccessPackage>,
    /// `RuleId`, for explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Line in the policy's XML, for explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// One route: which right a call needs, and who may use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RouteDocument {
    /// Its name in logs and metrics; unique.
    pub name: String,
    /// Host name without port in lower case, or `*` for any.
    #[serde(default = "any_host")]
    pub host: String,
    /// HTTP methods.
    pub methods: BTreeSet<String>,
    /// Path template: literal segments, `{name}` for one segment, `**` at the end for any rest.
    pub path: String,
    /// The resource.
    pub resource: ResourceId,
    /// The action on it.
    pub action: ActionId,
    /// Where the call names the party that the caller acts for.
    pub party: PartyDocument,
    /// Kinds of caller that are let in; only a system user's right is checked.
    #[serde(default = "only_system_users")]
    pub callers: BTreeSet<CallerKind>,
    /// Scopes that the token must have, all of them.
    #[serde(default)]
    pub scopes: BTreeSet<Scope>,
    /// Audiences this API answers to; a token with an audience must name one of them.
    #[serde(default)]
    pub audiences: BTreeSet<String>,
    /// Whether the route's decisions bind.
    #[serde(default)]
    pub mode: ModeDocument,
    /// CORS preflights for it pass to the API, which answers them.
    #[serde(default)]
    pub preflight: bool,
    /// The caller's token may come in the cookie `AltinnStudioRuntime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_cookie: Option<SessionCookieDocument>,
    /// What becomes of the header `PlatformAccessToken`.
    #[serde(default)]
    pub platform_token: PlatformTokenDocument,
}

/// Browsers send cookies by themselves, whoever makes them call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SessionCookieDocument {
    /// Origins (RFC 6454) besides the API's own whose pages may make calls that change something, such as
    /// `https://ttd.apps.altinn.no`.
    #[serde(default)]
    pub origins: BTreeSet<String>,
}

/// What becomes of the header `PlatformAccessToken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformTokenDocument {
    /// It is the API's.
    #[default]
    Ignored,
    /// One that comes must stand.
    Optional,
    /// One must come, and stand.
    Required,
}

fn any_host() -> String {
    "*".to_owned()
}

fn only_system_users() -> BTreeSet<CallerKind> {
    BTreeSet::from([CallerKind::SystemUser])
}

/// Where a call names the party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyDocument {
    /// A parameter of the path template.
    Path(String),
    /// A request header.
    Header(String),
    /// A query parameter.
    Query(String),
    /// Nowhere: the party is the owner of the system user.
    Owner,
}

/// The kinds of caller that a route can let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// A system user.
    SystemUser,
    /// A service owner.
    ServiceOwner,
    /// An organisation's own Maskinporten client.
    Organization,
    /// A person who has logged in.
    User,
    /// A person whom nobody has identified.
    SelfIdentified,
}

/// Whether a route's decisions bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeDocument {
    /// A denial is the answer.
    #[default]
    Enforce,
    /// A denial is logged and counted, and the call goes through.
    Shadow,
    /// Nothing is decided, and the call goes through.
    Off,
}

/// A registered system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SystemDocument {
    /// Its id.
    pub id: SystemId,
    /// The vendor.
    pub vendor: OrganizationNumber,
    /// Maskinporten clients that may use its system users.
    pub client_ids: BTreeSet<MaskinportenClientId>,
}

/// An active system user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SystemUserDocument {
    /// Its id.
    pub id: SystemUserId,
    /// The organisation that owns it.
    pub owner: OrganizationNumber,
    /// The system it belongs to.
    pub system: SystemId,
    /// For the owner itself, or for clients.
    #[serde(default)]
    pub kind: SystemUserKind,
    /// What it holds, and for whom.
    #[serde(default)]
    pub delegations: Vec<DelegationDocument>,
}

/// The two types of system user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemUserKind {
    /// Acts for its owner only.
    #[default]
    Standard,
    /// Acts for its owner's clients.
    Agent,
}

/// What a system user holds for one party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DelegationDocument {
    /// The party.
    pub party: OrganizationNumber,
    /// Rights delegated directly.
    #[serde(default)]
    pub rights: BTreeSet<Right>,
    /// Access packages.
    #[serde(default)]
    pub access_packages: BTreeSet<AccessPackage>,
}
