//! Parties and roles.

use std::fmt;
use std::str::FromStr;

use policies::id::{OrganizationNumber, PartyUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A party's number, the `{party}` of Altinn's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct PartyId(
    // Invariant: 1 to 2,147,483,647, as in Altinn's register.
    i64,
);

/// The number is not one that a party can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a party id is a whole number from 1 to 2147483647")]
pub(crate) struct PartyIdError;

impl TryFrom<i64> for PartyId {
    type Error = PartyIdError;

    fn try_from(number: i64) -> Result<Self, PartyIdError> {
        if (1..=i64::from(i32::MAX)).contains(&number) { Ok(Self(number)) } else { Err(PartyIdError) }
    }
}

impl PartyId {
    pub(crate) fn as_i64(self) -> i64 {
        self.0
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An organisation in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) id: PartyId,
    pub(crate) uuid: PartyUuid,
    pub(crate) organization: OrganizationNumber,
    pub(crate) name: String,
    /// The organisation that this one is a sub unit of.
    pub(crate) main_unit: Option<OrganizationNumber>,
    pub(crate) form: Option<OrganizationForm>,
    /// No longer in the Register of Legal Entities: it holds nothing and nobody holds anything for it.
    pub(crate) is_struck_off: bool,
}

impl Party {
    /// What is shown, with the party's number and uuid in it.
    pub(crate) fn named_in(&self, mut shown: Value) -> Value {
        if let Some(members) = shown.as_object_mut() {
            members.insert("partyId".to_owned(), json!(self.id));
            members.insert("partyUuid".to_owned(), json!(self.uuid));
        }
        shown
    }
}

/// A form of organisation in the codes of the Register of Legal Entities: `AS`, `ENK`, `ESEK`, `BRL`, `NUF`, …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct OrganizationForm(
    // Invariant: two to four capital letters.
    String,
);

/// The code is not one that a form of organisation can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a form of organisation is two to four capital letters")]
pub(crate) struct OrganizationFormError;

impl OrganizationForm {
    pub(crate) fn parse(text: &str) -> Result<Self, OrganizationFormError> {
        let is_form = (2..=4).contains(&text.chars().count()) && text.chars().all(char::is_uppercase);
        if is_form { Ok(Self(text.to_owned())) } else { Err(OrganizationFormError) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for OrganizationForm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Somebody who can hold roles, as far as we need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) uuid: PartyUuid,
    pub(crate) id: PartyId,
    /// What tokens carry.
    pub(crate) user_id: i64,
    pub(crate) name: String,
}

/// What an organisation can be to another, in the words of the Register of Legal Entities: those from which access
/// packages follow ([`super::relation_catalogue`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RelationRole {
    BestyrendeReder,
    Bostyrer,
    DeltakerDeltAnsvar,
    DeltakerFulltAnsvar,
    Forretningsforer,
    Komplementar,
    KontaktpersonNuf,
    NorskRepresentant,
    Regnskapsforer,
    Revisor,
}

/// With their codes.
pub(crate) const RELATION_ROLES: [(RelationRole, &str); 10] = [
    (RelationRole::BestyrendeReder, "bestyrende-reder"),
    (RelationRole::Bostyrer, "bostyrer"),
    (RelationRole::DeltakerDeltAnsvar, "deltaker-delt-ansvar"),
    (RelationRole::DeltakerFulltAnsvar, "deltaker-fullt-ansvar"),
    (RelationRole::Forretningsforer, "forretningsforer"),
    (RelationRole::Komplementar, "komplementar"),
    (RelationRole::KontaktpersonNuf, "kontaktperson-nuf"),
    (RelationRole::NorskRepresentant, "norsk-representant"),
    (RelationRole::Regnskapsforer, "regnskapsforer"),
    (RelationRole::Revisor, "revisor"),
];

impl RelationRole {
    pub(crate) fn code(self) -> &'static str {
        RELATION_ROLES.iter().find(|(role, _)| *role == self).map_or("", |(_, code)| code)
    }
}

impl Serialize for RelationRole {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl FromStr for RelationRole {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let known = RELATION_ROLES.iter().find(|(_, code)| *code == text);
        known.map(|(role, _)| *role).ok_or_else(|| RoleError::of(text))
    }
}

/// `provider` is `role` of `client`: its accountant, its auditor, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Relation {
    pub(crate) client: OrganizationNumber,
    pub(crate) role: RelationRole,
    pub(crate) provider: OrganizationNumber,
}

/// What a person is at an organisation: its key roles and the contacts of foreign companies, in the words of the Register
/// of Legal Entities, and the main administrator that it has appointed. What follows from each is in
/// [`super::role_catalogue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    BestyrendeReder,
    Bostyrer,
    DagligLeder,
    DeltakerDeltAnsvar,
    DeltakerFulltAnsvar,
    Hovedadministrator,
    Innehaver,
    Komplementar,
    KontaktpersonNuf,
    NorskRepresentant,
    Styreleder,
    /// Gives no access package: sees what others decide.
    Styremedlem,
}

pub(super) const ROLES: [(Role, &str); 12] = [
    (Role::BestyrendeReder, "bestyrende-reder"),
    (Role::Bostyrer, "bostyrer"),
    (Role::DagligLeder, "daglig-leder"),
    (Role::DeltakerDeltAnsvar, "deltaker-delt-ansvar"),
    (Role::DeltakerFulltAnsvar, "deltaker-fullt-ansvar"),
    (Role::Hovedadministrator, "hovedadministrator"),
    (Role::Innehaver, "innehaver"),
    (Role::Komplementar, "komplementar"),
    (Role::KontaktpersonNuf, "kontaktperson-nuf"),
    (Role::NorskRepresentant, "norsk-representant"),
    (Role::Styreleder, "styreleder"),
    (Role::Styremedlem, "styremedlem"),
];

impl Role {
    pub(crate) fn code(self) -> &'static str {
        ROLES.iter().find(|(role, _)| *role == self).map_or("", |(_, code)| code)
    }
}

/// The role is not one that Portvakt knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known role")]
pub(crate) struct RoleError(String);

impl RoleError {
    fn of(text: &str) -> Self {
        Self(text.chars().take(64).collect())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        ROLES.iter().find(|(_, code)| *code == text).map(|(role, _)| *role).ok_or_else(|| RoleError::of(text))
    }
}

/// A person's role at an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoleAssignment {
    pub(crate) user_id: i64,
    pub(crate) organization: OrganizationNumber,
    pub(crate) role: Role,
}
