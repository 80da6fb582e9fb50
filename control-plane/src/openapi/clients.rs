//! Schemas of Altinn's forms for agent system users and their clients; as in [`super::altinn`].

#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

use super::altinn::{Package, PageLinks, RequestStatus};

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
    /// When what comes of it ends by itself. Portvakt's own.
    #[schema(nullable = false, format = "date-time")]
    valid_to: Option<String>,
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
    /// When what comes of it ends by itself. Portvakt's own.
    #[schema(nullable = false, format = "date-time")]
    valid_to: Option<String>,
}

/// A client that an agent system user acts for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DelegationResponse {
    #[schema(format = "uuid")]
    agent_system_user_id: String,
    #[schema(format = "uuid")]
    delegation_id: String,
    /// The client's party uuid.
    #[schema(format = "uuid")]
    customer_id: String,
    /// The relation it rests on; the nil uuid for the owner itself.
    #[schema(format = "uuid")]
    assignment_id: String,
    customer_name: String,
    customer_organization_number: String,
}

/// An organisation with a relation to the party.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Customer {
    #[schema(format = "uuid")]
    party_uuid: String,
    display_name: String,
    organization_identifier: String,
    access: Vec<RolePackages>,
}

/// What the party is to it, and the access packages that come with that.
#[derive(ToSchema)]
pub(crate) struct RolePackages {
    #[schema(example = "regnskapsforer")]
    role: String,
    packages: Vec<String>,
}

/// A page of clients.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClientInfoPaginated {
    links: PageLinks,
    system_user_information: SystemUserInformation,
    data: Vec<ClientInfo>,
}

/// Whose clients they are.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SystemUserInformation {
    #[schema(format = "uuid")]
    system_user_id: String,
    system_user_owner_org: String,
}

/// A client.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClientInfo {
    #[schema(format = "uuid")]
    client_id: String,
    client_organization_number: String,
    client_organization_name: String,
}

/// Which client of which agent system user was added or removed.
#[derive(ToSchema)]
pub(crate) struct ChangedClient {
    #[schema(format = "uuid")]
    agent: String,
    #[schema(format = "uuid")]
    client: String,
}

/// Whom a system user may act for.
#[derive(ToSchema)]
pub(crate) struct AuthorizedParties {
    links: PageLinks,
    data: Vec<AuthorizedParty>,
}

/// An organisation that it may act for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct AuthorizedParty {
    #[schema(format = "uuid")]
    party_uuid: String,
    name: String,
    organization_number: String,
    party_id: i64,
    #[schema(example = "Organization")]
    r#type: String,
    #[schema(required, example = "AS")]
    unit_type: Option<String>,
    is_deleted: bool,
    only_hierarchy_element_with_no_access: bool,
    authorized_access_packages: Vec<String>,
    authorized_resources: Vec<String>,
    authorized_roles: Vec<String>,
    authorized_instances: Vec<serde_json::Value>,
    /// The same again for each.
    subunits: Vec<serde_json::Value>,
}

/// What was asked for many clients, and how far it is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClientJob {
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uuid")]
    system_user_id: String,
    #[schema(example = "add")]
    action: String,
    #[schema(required, format = "uuid")]
    from: Option<String>,
    /// `running` or `finished`.
    state: String,
    total: u64,
    done: u64,
    failed: u64,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(required, format = "date-time")]
    finished_at: Option<String>,
    /// Not when the job is made.
    #[schema(nullable = false)]
    links: Option<PageLinks>,
    #[schema(nullable = false)]
    failures: Option<Vec<ClientJobFailure>>,
}

/// A client that nothing was done to.
#[derive(ToSchema)]
pub(crate) struct ClientJobFailure {
    #[schema(format = "uuid")]
    client: String,
    /// As of a call for this one.
    #[schema(example = "AUTH-00080")]
    code: String,
}

/// What an agent system user holds for its clients now.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ChangedPackages {
    #[schema(format = "uuid")]
    id: String,
    access_packages: Vec<Package>,
    /// How many there are.
    clients: u64,
    /// Organisation numbers of clients that there were.
    dropped: Vec<String>,
}

/// Organisations of which the party is accountant, auditor or business manager.
#[derive(ToSchema)]
pub(crate) struct Customers {
    data: Vec<CustomerParty>,
}

/// One of them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CustomerParty {
    #[schema(format = "uuid")]
    party_uuid: String,
    party_id: i64,
    #[schema(example = "organization")]
    party_type: String,
    display_name: String,
    organization_identifier: String,
    #[schema(required, example = "AS")]
    unit_type: Option<String>,
    is_deleted: bool,
}
