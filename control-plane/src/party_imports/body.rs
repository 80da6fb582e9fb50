//! Parties, people, roles and relations as they arrive, in whole bodies and in events alike.

use policies::id::{OrganizationNumber, PartyUuid};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::parties::PartyId;
use crate::parties::model::OrganizationForm;

/// An organisation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportedParty)]
pub(super) struct PartyBody {
    #[schema(value_type = u32)]
    pub(super) party_id: PartyId,
    #[schema(value_type = String, format = "uuid")]
    pub(super) party_uuid: PartyUuid,
    #[schema(value_type = String, example = "310247049")]
    pub(super) organization_number: OrganizationNumber,
    pub(super) name: String,
    #[schema(value_type = Option<String>)]
    pub(super) main_unit: Option<OrganizationNumber>,
    #[schema(value_type = Option<String>, example = "AS")]
    pub(super) organization_form: Option<OrganizationForm>,
    /// The organisation has left the register.
    #[serde(default)]
    pub(super) struck_off: bool,
}

/// Somebody who can hold roles.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportedPerson)]
pub(super) struct PersonBody {
    #[schema(value_type = u32)]
    pub(super) party_id: PartyId,
    #[schema(value_type = String, format = "uuid")]
    pub(super) party_uuid: PartyUuid,
    pub(super) user_id: u32,
    pub(super) name: String,
}

/// A person's role; the person by user id or, when it is among the people, by uuid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportedRoleAssignment)]
pub(super) struct RoleAssignmentBody {
    pub(super) user_id: Option<u32>,
    #[schema(value_type = Option<String>, format = "uuid")]
    pub(super) person_uuid: Option<PartyUuid>,
    #[schema(value_type = String, example = "310247049")]
    pub(super) organization_number: OrganizationNumber,
    #[schema(example = "daglig-leder")]
    pub(super) role: String,
}

/// `provider` is `role` of `client`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ImportedRelation)]
pub(super) struct RelationBody {
    #[schema(value_type = String, example = "310247049")]
    pub(super) client: OrganizationNumber,
    #[schema(example = "regnskapsforer")]
    pub(super) role: String,
    #[schema(value_type = String, example = "310247073")]
    pub(super) provider: OrganizationNumber,
}
