//! Schemas of Altinn's forms, as they are documented there. Nothing is built of these types: what comes in is read in any
//! letter case ([`crate::json::AltinnJson`]).

#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

use crate::fields::LocalizedText;

/// An attribute and its value.
#[derive(ToSchema)]
pub(crate) struct AttributePair {
    #[schema(example = "urn:altinn:resource")]
    id: String,
    #[schema(example = "vat")]
    value: String,
}

/// A right on a resource: one action, or every action that the resource's policy has.
#[derive(ToSchema)]
pub(crate) struct Right {
    #[schema(nullable = false)]
    action: Option<String>,
    /// Exactly one `urn:altinn:resource`.
    resource: Vec<AttributePair>,
    /// When it ends by itself; only where it is asked for or held, and told only of a right that does.
    #[schema(rename = "validTo", nullable = false, format = "date-time")]
    valid_to: Option<String>,
}

/// An access package.
#[derive(ToSchema)]
#[schema(as = AccessPackage)]
pub(crate) struct Package {
    #[schema(example = "urn:altinn:accesspackage:regnskap-okonomi-rapport")]
    urn: String,
}

/// A vendor as it is registered.
#[derive(ToSchema)]
pub(crate) struct VendorInfo {
    #[schema(nullable = false, example = "iso6523-actorid-upis")]
    authority: Option<String>,
    #[schema(rename = "ID", example = "0192:310247030")]
    id: String,
}

/// A system, as it is registered.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RegisterSystemRequest {
    /// The vendor's organisation number, `_`, a name without blanks.
    #[schema(example = "310247030_smartcloud")]
    id: String,
    vendor: VendorInfo,
    name: LocalizedText,
    #[schema(nullable = false)]
    description: Option<LocalizedText>,
    #[schema(nullable = false)]
    rights: Option<Vec<Right>>,
    #[schema(nullable = false)]
    access_packages: Option<Vec<Package>>,
    /// GUIDs or Maskinporten names; unique over all live systems.
    #[schema(nullable = false)]
    client_id: Option<Vec<String>>,
    /// Absolute https URLs.
    #[schema(nullable = false)]
    allowed_redirect_urls: Option<Vec<String>>,
    #[schema(nullable = false)]
    is_visible: Option<bool>,
}

/// A registered system, to its vendor.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RegisteredSystemResponse {
    id: String,
    vendor: VendorInfo,
    name: LocalizedText,
    description: LocalizedText,
    rights: Vec<Right>,
    access_packages: Vec<Package>,
    is_deleted: bool,
    client_id: Vec<String>,
    is_visible: bool,
    allowed_redirect_urls: Vec<String>,
}

/// A registered system, in lists and to end users.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RegisteredSystem {
    system_id: String,
    system_vendor_org_number: String,
    system_vendor_org_name: String,
    name: LocalizedText,
    description: LocalizedText,
    rights: Vec<Right>,
    access_packages: Vec<Package>,
    is_visible: bool,
}

/// A change that was made.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SystemRegisterUpdateResult {
    succeeded: bool,
}

/// A line of a system's change log.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SystemChangeLog {
    #[schema(format = "uuid")]
    system_internal_id: String,
    changed_by_org_number: String,
    change_type: SystemChangeType,
    /// What was sent, in the form that is stored; null for a deletion.
    changed_data: serde_json::Value,
    /// The OAuth client that did it.
    #[schema(required)]
    client_id: Option<String>,
    #[schema(format = "date-time")]
    created: String,
}

/// What was done to a system.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum SystemChangeType {
    Create,
    Update,
    RightsUpdate,
    AccessPackageUpdate,
    Delete,
}

/// What a vendor asks a customer for. Rights, packages, or both.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CreateRequestSystemUser {
    /// The system's name in bokmål by default.
    #[schema(nullable = false)]
    integration_title: Option<String>,
    /// The vendor's own reference; the customer's organisation number by default.
    #[schema(nullable = false)]
    external_ref: Option<String>,
    system_id: String,
    party_org_no: String,
    #[schema(nullable = false)]
    rights: Option<Vec<Right>>,
    #[schema(nullable = false)]
    access_packages: Option<Vec<Package>>,
    /// One of the system's, with any query.
    #[schema(nullable = false)]
    redirect_url: Option<String>,
    /// When what comes of it ends by itself. Portvakt's own.
    #[schema(nullable = false, format = "date-time")]
    valid_to: Option<String>,
}

/// A request, and where it stands.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RequestSystemResponse {
    #[schema(format = "uuid")]
    id: String,
    integration_title: String,
    external_ref: String,
    system_id: String,
    party_org_no: String,
    rights: Vec<Right>,
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
    /// When what comes of it ends by itself. Portvakt's own.
    #[schema(nullable = false, format = "date-time")]
    valid_to: Option<String>,
}

/// A request, to a person who may do something about it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RequestSystemResponseInternal {
    #[schema(format = "uuid")]
    id: String,
    integration_title: String,
    external_ref: String,
    system_id: String,
    party_org_no: String,
    rights: Vec<Right>,
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
    party_id: i64,
    #[schema(format = "uuid")]
    party_uuid: String,
    /// Who may not decide may pass it on to those who may.
    user_may_escalate_but_not_approve: bool,
    /// When what comes of it ends by itself. Portvakt's own.
    #[schema(nullable = false, format = "date-time")]
    valid_to: Option<String>,
}

/// Where a request stands.
#[derive(ToSchema)]
pub(crate) enum RequestStatus {
    New,
    Accepted,
    Rejected,
    Denied,
    Timedout,
}

/// What a system user is to hold, and not to hold any more.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ChangeRequestSystemUser {
    #[schema(nullable = false)]
    required_rights: Option<Vec<Right>>,
    #[schema(nullable = false)]
    unwanted_rights: Option<Vec<Right>>,
    #[schema(nullable = false)]
    required_access_packages: Option<Vec<Package>>,
    #[schema(nullable = false)]
    unwanted_access_packages: Option<Vec<Package>>,
    /// One of the system's, with any query.
    #[schema(nullable = false)]
    redirect_url: Option<String>,
}

/// A change request, and where it stands.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ChangeRequestResponse {
    #[schema(format = "uuid")]
    id: String,
    external_ref: String,
    system_id: String,
    #[schema(format = "uuid")]
    system_user_id: String,
    party_org_no: String,
    required_rights: Vec<Right>,
    unwanted_rights: Vec<Right>,
    required_access_packages: Vec<Package>,
    unwanted_access_packages: Vec<Package>,
    status: ChangeRequestStatus,
    #[schema(required)]
    redirect_url: Option<String>,
    /// Where the customer decides; empty when nothing is stored.
    confirm_url: String,
    #[schema(format = "date-time")]
    created: String,
    timed_out: bool,
}

/// A change request, to a person of the organisation that is asked.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ChangeRequestResponseInternal {
    #[schema(format = "uuid")]
    id: String,
    external_ref: String,
    system_id: String,
    #[schema(format = "uuid")]
    system_user_id: String,
    party_org_no: String,
    required_rights: Vec<Right>,
    unwanted_rights: Vec<Right>,
    required_access_packages: Vec<Package>,
    unwanted_access_packages: Vec<Package>,
    status: ChangeRequestStatus,
    #[schema(required)]
    redirect_url: Option<String>,
    /// Where the customer decides.
    confirm_url: String,
    #[schema(format = "date-time")]
    created: String,
    timed_out: bool,
    party_id: i64,
    #[schema(format = "uuid")]
    party_uuid: String,
}

/// Where a change request stands.
#[derive(ToSchema)]
pub(crate) enum ChangeRequestStatus {
    New,
    Accepted,
    Rejected,
    Timedout,
    NoChangeNeeded,
}

/// A system user, as vendors and Maskinporten see it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = SystemUserExternalDTO)]
pub(crate) struct SystemUserExternal {
    #[schema(format = "uuid")]
    id: String,
    integration_title: String,
    system_id: String,
    /// The system's id.
    product_name: String,
    reportee_org_no: String,
    #[schema(format = "date-time")]
    created: String,
    is_deleted: bool,
    supplier_name: String,
    supplier_orgno: String,
    external_ref: String,
    user_type: UserType,
}

/// A system user, as its owner's people see it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = SystemUserInternalDTO)]
pub(crate) struct SystemUserInternal {
    #[schema(format = "uuid")]
    id: String,
    integration_title: String,
    system_id: String,
    product_name: String,
    reportee_org_no: String,
    #[schema(format = "date-time")]
    created: String,
    is_deleted: bool,
    supplier_name: String,
    supplier_orgno: String,
    external_ref: String,
    user_type: UserType,
    #[schema(format = "uuid")]
    system_internal_id: String,
    party_id: String,
    #[schema(rename = "partyUuId", format = "uuid")]
    party_uuid: String,
    access_packages: Vec<Package>,
    /// Only of one system user, not in lists.
    #[schema(nullable = false)]
    rights: Option<Vec<Right>>,
}

/// What a standard system user holds for its owner.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SystemUserDelegations {
    #[schema(format = "uuid")]
    system_user_id: String,
    rights: Vec<Right>,
    access_packages: Vec<Package>,
}

/// What a customer takes into use by itself.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CreateSystemUser {
    /// The system's name in bokmål by default.
    #[schema(nullable = false)]
    integration_title: Option<String>,
    system_id: String,
}

/// What a system user is to be called.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RenameSystemUser {
    #[schema(format = "uuid")]
    id: String,
    integration_title: String,
}

/// A page of a list.
#[derive(ToSchema)]
pub(crate) struct Paginated<T> {
    links: PageLinks,
    data: Vec<T>,
}

/// Where the list goes on.
#[derive(ToSchema)]
pub(crate) struct PageLinks {
    /// Absolute; absent on the last page.
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A page of the stream of system users.
#[derive(ToSchema)]
#[schema(as = SystemUserItemStream)]
pub(crate) struct SystemUserStream {
    links: PageLinks,
    stats: StreamStats,
    data: Vec<SystemUserRegister>,
}

/// Numbers of the first and last entry of the page, and the highest there is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct StreamStats {
    page_start: i64,
    page_end: i64,
    sequence_max: i64,
}

/// A system user, to those who keep a copy.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = SystemUserRegisterDTO)]
pub(crate) struct SystemUserRegister {
    #[schema(format = "uuid")]
    id: String,
    party_org_no: String,
    party_id: String,
    integration_title: String,
    is_deleted: bool,
    #[schema(format = "date-time")]
    last_changed: String,
    #[schema(format = "date-time")]
    created: String,
    sequence_no: i64,
    system_user_type: UserType,
}

/// For the owner itself, or for its clients.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum UserType {
    Standard,
    Agent,
}
