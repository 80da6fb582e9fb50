//! Schemas of our own answers, where a handler writes them member by member.

#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

use crate::audit::model::AuditEntry;
use crate::events::model::Event;
use crate::fields::LocalizedText;
use crate::gateway_decisions::GatewayDecision;
use crate::openapi::altinn::{AttributePair, Package, Right};
use crate::revocations::model::RevocationJson;

/// RFC 9457, in Altinn's shape. Some codes have members of their own.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Problem {
    #[schema(example = "urn:altinn:error:AUTH-00011")]
    r#type: String,
    title: String,
    status: u16,
    /// Stable. With capitals it is Altinn's.
    #[schema(example = "AUTH-00011")]
    code: String,
    /// What was wrong with this very call.
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The wrong parts of a body, with code `STD-00000`.
    #[schema(nullable = false)]
    validation_errors: Option<Vec<ValidationError>>,
    /// What the log calls this call.
    trace_id: String,
    status_description: String,
}

/// One wrong part of a body.
#[derive(ToSchema)]
pub(crate) struct ValidationError {
    code: String,
    title: String,
    paths: Vec<String>,
}

/// What could be passed on, and what not.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DelegationCheck {
    /// All of it.
    result: bool,
    /// What a refusal would say; null if nothing is refused.
    #[schema(required)]
    code: Option<String>,
    rights: Vec<CheckedRight>,
    access_packages: Vec<CheckedPackage>,
}

/// One action of a right.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CheckedRight {
    resource: Vec<AttributePair>,
    #[schema(nullable = false)]
    action: Option<String>,
    result: bool,
    #[schema(example = json!(["MissingRoleAccess"]))]
    reason_codes: Vec<String>,
    #[schema(nullable = false)]
    required_authentication_level: Option<u64>,
}

/// An access package.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CheckedPackage {
    urn: String,
    result: bool,
    reason_codes: Vec<String>,
}

/// A system user for an organisation's own software.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FreeSystemUser {
    integration_title: String,
    /// The organisation's own Maskinporten clients, 1 to 10; no system may have them.
    client_ids: Vec<String>,
    #[schema(nullable = false)]
    rights: Option<Vec<Right>>,
    #[schema(nullable = false)]
    access_packages: Option<Vec<Package>>,
}

/// How many were imported.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ImportedParties {
    parties: u64,
    persons: u64,
    role_assignments: u64,
    relations: u64,
}

/// How far a stream of events has been taken.
#[derive(ToSchema)]
pub(crate) struct EventPosition {
    #[schema(example = "register")]
    stream: String,
    position: u64,
}

/// What became of a batch of events.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TakenEvents {
    #[schema(example = "register")]
    stream: String,
    position: u64,
    applied: u64,
    /// Taken before.
    passed_over: u64,
}

/// An API provider.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Provider {
    id: String,
    organization_number: String,
    name: String,
}

/// A gateway credential, shown once.
#[derive(ToSchema)]
pub(crate) struct CreatedCredential {
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "pvgw_…")]
    credential: String,
}

/// What one worker of a gateway enforces, as of its last poll.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Worker {
    gateway: String,
    worker: String,
    /// Epoch and version; null before the first snapshot.
    #[schema(required)]
    version: Option<String>,
    #[schema(format = "date-time")]
    seen_at: String,
    /// It has not polled for two minutes.
    silent: bool,
    /// Snapshots refused since it started.
    refused: u64,
}

/// A resource without its policy.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Resource {
    id: String,
    title: LocalizedText,
    delegable: bool,
    access_lists: Vec<String>,
    #[schema(example = "disabled")]
    access_list_mode: String,
}

/// A stored policy, and what the linter finds in it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct StoredPolicy {
    resource: String,
    version: u64,
    #[schema(example = "altinn")]
    semantics: String,
    actions: Vec<String>,
    minimum_authentication_level: u8,
    findings: Vec<Finding>,
    finding_count: u64,
}

/// What is probably not meant.
#[derive(ToSchema)]
pub(crate) struct Finding {
    code: String,
    #[schema(example = "warning")]
    severity: String,
    line: u64,
    message: String,
    why: String,
    fix: String,
}

/// When which policy was stored.
#[derive(ToSchema)]
pub(crate) struct PolicyVersions {
    versions: Vec<PolicyVersion>,
}

/// One of them.
#[derive(ToSchema)]
pub(crate) struct PolicyVersion {
    version: u64,
    #[schema(format = "date-time")]
    at: String,
    semantics: String,
}

/// An access list.
#[derive(ToSchema)]
pub(crate) struct AccessList {
    id: String,
    members: Vec<AccessListMember>,
    /// Resources that name it.
    resources: Vec<String>,
}

/// Who is on it, and for what.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct AccessListMember {
    organization_number: String,
    #[schema(nullable = false)]
    actions: Option<Vec<String>>,
}

/// An access list that was stored.
#[derive(ToSchema)]
pub(crate) struct StoredAccessList {
    id: String,
    /// How many.
    members: u64,
}

/// How many routes there are now.
#[derive(ToSchema)]
pub(crate) struct StoredRoutes {
    routes: u64,
}

/// One step from the party that holds rights to the system user.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RightsLink {
    /// `party`, `mainUnit` or `owner`.
    #[schema(example = "party")]
    r#type: String,
    organization_number: String,
}

/// Why gateways do or do not permit it now.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Explanation {
    permitted: bool,
    #[schema(nullable = false)]
    denial: Option<String>,
    snapshot_version: String,
    reasons: Vec<serde_json::Value>,
    /// The reasons in words.
    text: Vec<String>,
    #[schema(example = "en")]
    language: String,
}

/// The keys that gateways pin.
#[derive(ToSchema)]
pub(crate) struct SnapshotKeys {
    keys: Vec<SnapshotKey>,
}

/// One of them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SnapshotKey {
    key_id: String,
    pem: String,
}

/// Where the decision endpoints are (AuthZEN 1.0).
#[derive(ToSchema)]
pub(crate) struct AuthzenConfiguration {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
}

/// A decision (AuthZEN 1.0).
#[derive(ToSchema)]
#[schema(as = AuthzenDecision)]
pub(crate) struct EvaluationAnswer {
    decision: bool,
    #[schema(nullable = false, value_type = Option<Object>)]
    context: Option<serde_json::Value>,
}

/// Decisions in the order of the questions; the members of a single decision when no list was sent (AuthZEN 1.0).
#[derive(ToSchema)]
#[schema(as = AuthzenDecisions)]
pub(crate) struct EvaluationsAnswer {
    #[schema(nullable = false)]
    evaluations: Option<Vec<EvaluationAnswer>>,
    #[schema(nullable = false)]
    decision: Option<bool>,
    #[schema(nullable = false, value_type = Option<Object>)]
    context: Option<serde_json::Value>,
}

/// Whether the process can do its work.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Readiness {
    #[schema(example = "ready")]
    status: String,
    /// It can be written.
    database: bool,
    /// The publisher goes round.
    publisher: bool,
    snapshots_built: bool,
    /// By provider: what was not published, and why.
    #[schema(value_type = Object)]
    publish_failures: serde_json::Value,
}

/// Where to go on.
#[derive(ToSchema)]
pub(crate) struct NextLink {
    #[schema(nullable = false)]
    next: Option<String>,
}

/// Changes, the newest first.
#[derive(ToSchema)]
pub(crate) struct AuditPage {
    links: NextLink,
    data: Vec<AuditEntry>,
}

/// Revocations, the oldest first.
#[derive(ToSchema)]
pub(crate) struct RevocationPage {
    links: NextLink,
    data: Vec<RevocationJson>,
}

/// What gateways told of their decisions, the newest first.
#[derive(ToSchema)]
pub(crate) struct GatewayDecisionPage {
    links: NextLink,
    data: Vec<GatewayDecision>,
}

/// Events, in order; `next` is always there.
#[derive(ToSchema)]
pub(crate) struct EventPage {
    links: NextLink,
    data: Vec<Event>,
}

/// A webhook, with the secret that signs; shown once.
#[derive(ToSchema)]
pub(crate) struct CreatedWebhook {
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "whsec_…")]
    secret: String,
}
