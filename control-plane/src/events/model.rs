//! An event, in the form that Standard Webhooks recommends for payloads: `type`, `timestamp`, `data`.

use policies::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that happened to a vendor's system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Grows; what to give as `after`.
    #[schema(value_type = String, example = "42")]
    #[serde(serialize_with = "as_text")]
    pub(crate) id: i64,
    /// `system_user_request.created`, `.accepted`, `.rejected`, `.timed_out`; the same of `change_request`;
    /// `system_user.created`, `.changed`, `.withdrawn`; `client.added`, `client.removed`; `relation.lost`.
    #[serde(rename = "type")]
    #[schema(example = "system_user.created")]
    pub(crate) kind: String,
    #[schema(value_type = String, format = "date-time")]
    pub(crate) timestamp: Timestamp,
    pub(crate) data: EventData,
}

/// What it happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventData {
    pub(crate) system_id: String,
    /// Of events about a request; the system user that comes of one has the same id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uuid")]
    pub(crate) request_id: Option<String>,
    /// Of all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uuid")]
    pub(crate) system_user_id: Option<String>,
    /// The customer: who owns, or will own, the system user.
    pub(crate) party_org_no: String,
    /// Of events about a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) client_org_no: Option<String>,
    /// The change that it came with.
    pub(crate) revision: i64,
}

fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
