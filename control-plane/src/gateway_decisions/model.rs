//! A decision as a gateway tells it.

use policies::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fields::is_text;
use crate::problem::{Problem, codes};

/// Longest text in a decision, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// What was decided: `permit`, `deny`, or `shadow` for what went through and would have been refused. What a shadow
/// snapshot would have decided otherwise is told apart from the call's own decision: `shadow_snapshot_deny` of a call that
/// was permitted, `shadow_snapshot_permit` of one that was refused; and what a remote decision point would have,
/// `remote_pdp_deny` and `remote_pdp_permit`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = GatewayDecisionEntry)]
pub(super) struct Decision {
    decision: Kind,
    /// Milliseconds since 1970, by the gateway's clock.
    pub(super) at_millis: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    route: Option<String>,
    /// Its id, or a hash of it where the gateway masks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    system_user: Option<String>,
    /// The organisation number, or a hash of it where the gateway masks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    party: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    snapshot_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GatewayDecisionKind)]
enum Kind {
    Permit,
    Deny,
    Shadow,
    ShadowSnapshotDeny,
    ShadowSnapshotPermit,
    RemotePdpDeny,
    RemotePdpPermit,
}

impl Decision {
    /// Every text is one, and none is too long.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let texts = [
            &self.reason,
            &self.route,
            &self.system_user,
            &self.party,
            &self.resource,
            &self.action,
            &self.snapshot_version,
            &self.request_id,
        ];
        if texts.into_iter().flatten().all(|text| is_text(text, TEXT_CHARS_MAX)) {
            return Ok(());
        }
        Err(Problem::new(codes::FIELD_INVALID).detail("a text of `decisions` is empty, too long, or no text"))
    }
}

/// A decision, and who told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GatewayDecision {
    /// Grows by one with each that is told.
    pub(super) number: i64,
    pub(super) gateway: String,
    #[schema(value_type = String, format = "date-time")]
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) decision: Decision,
}
