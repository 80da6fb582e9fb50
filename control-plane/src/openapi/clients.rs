//! Schemas of Altinn's forms for agent system users and their clients; as in [`super::altinn`].

#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

use super::altinn::{Package, RequestStatus};

/// What a vendor asks for an agent system user.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CreateAgentRequestSystemUser {
    #[schema(nullable = false)]
    integration_title: Option<String>,
    /// The customer's organisation number by default.
    #[schema(nullable = false)]
    external_ref: Option<String>,
    #[schema(example = "310247030_smartcloud")]
    system_id: String,
    #[schema(example = "310247049")]
    party_org_no: String,
    /// At least one, all of them for client relations.
    access_packages: Vec<Package>,
    #[schema(nullable = false)]
    redirect_url: Option<String>,
}

/// A request for an agent system user, and where it stands.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct AgentRequestSystemResponse {
    #[schema(format = "uuid")]
    id: String,
    integration_title: String,
    external_ref: String,
    system_id: String,
    party_org_no: String,
    access_packages: Vec<Package>,
    status: RequestStatus,
    #[schema(required)]
    redirect_url: Option<String>,
    /// Where the customer decides.
    confirm_url: String,
    escalated: bool,
    #[schema(format = "date-time")]
    created: String,
    timed_out: bool,
    /// Only to people.
    #[schema(nullable = false)]
    party_id: Option<i64>,
    #[schema(nullable = false, format = "uuid")]
    party_uuid: Option<String>,
    #[schema(nullable = false)]
    user_may_escalate_but_not_approve: Option<bool>,
}

/// A page of requests for agent system users.
#[derive(ToSchema)]
pub(crate) struct AgentRequestPage {
    links: PageLinks,
    data: Vec<AgentRequestSystemResponse>,
}

/// Where the next page is; empty on the last one.
#[derive(ToSchema)]
pub(crate) struct PageLinks {
    #[schema(nullable = false, format = "uri")]
    next: Option<String>,
}
