//! A system user, its delegations, and their JSON forms.

use std::str::FromStr;

use policies::Timestamp;
use policies::id::{AccessPackage, OrganizationNumber, PartyUuid, SystemId, SystemUserId};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::parties::Party;
use crate::right::{AccessPackageJson, ResourceRight, access_packages_json};
use crate::systems::model::System;

/// For whom a system user acts. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SystemUserKind {
    /// For its owner.
    Standard,
    /// For clients of its owner: an accountant's, an auditor's or a business manager's.
    Agent,
}

/// The kind is neither `standard` nor `agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a system user is `standard` or `agent`")]
pub(crate) struct SystemUserKindError;

impl SystemUserKind {
    /// The word in Altinn's JSON, and in the database.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Agent => "agent",
        }
    }
}

impl FromStr for SystemUserKind {
    type Err = SystemUserKindError;

    fn from_str(text: &str) -> Result<Self, SystemUserKindError> {
        match text {
            "standard" => Ok(Self::Standard),
            "agent" => Ok(Self::Agent),
            _ => Err(SystemUserKindError),
        }
    }
}

/// A vendor's system acting for its owner, or for its owner's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemUser {
    pub(crate) id: SystemUserId,
    pub(crate) kind: SystemUserKind,
    /// What an agent holds for each of its clients; a standard one has none.
    pub(crate) client_packages: Vec<AccessPackage>,
    pub(crate) system: SystemId,
    pub(crate) owner: OrganizationNumber,
    pub(crate) external_ref: String,
    pub(crate) integration_title: String,
    pub(crate) created_at: Timestamp,
    pub(crate) withdrawn_at: Option<Timestamp>,
}

/// What a system user holds for one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delegation {
    pub(crate) party: OrganizationNumber,
    pub(crate) rights: Vec<ResourceRight>,
    pub(crate) access_packages: Vec<AccessPackage>,
}

impl Delegation {
    /// Those of the rights that none of its own covers.
    pub(crate) fn missing_rights(&self, rights: &[ResourceRight]) -> Vec<ResourceRight> {
        let is_missing = |right: &&ResourceRight| !self.rights.iter().any(|holds| holds.covers(right));
        rights.iter().filter(is_missing).cloned().collect()
    }

    /// Those of the access packages that are not among its own.
    pub(crate) fn missing_packages(&self, packages: &[AccessPackage]) -> Vec<AccessPackage> {
        packages.iter().filter(|package| !self.access_packages.contains(package)).cloned().collect()
    }
}

/// The system user was withdrawn before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system user was withdrawn before")]
pub(crate) struct WithdrawnError;

impl SystemUser {
    /// Live → withdrawn; there is no way back.
    pub(crate) fn withdraw(self, now: Timestamp) -> Result<Self, WithdrawnError> {
        match self.withdrawn_at {
            None => Ok(Self { withdrawn_at: Some(now), ..self }),
            Some(_) => Err(WithdrawnError),
        }
    }

    /// Altinn's `SystemUserExternalDTO`, for vendors and Maskinporten.
    pub(crate) fn external_json(&self, vendor: OrganizationNumber) -> ExternalJson<'_> {
        ExternalJson {
            id: self.id,
            integration_title: &self.integration_title,
            system_id: &self.system,
            product_name: &self.system,
            reportee_org_no: self.owner,
            created: self.created_at,
            is_deleted: self.withdrawn_at.is_some(),
            supplier_name: "",
            supplier_orgno: vendor,
            external_ref: &self.external_ref,
            user_type: self.kind,
        }
    }

    /// Altinn's `SystemUserInternalDTO`, for the owner's own people.
    pub(crate) fn internal_json(&self, system: &System, owner: &Party, delegations: &[Delegation]) -> Value {
        json!(self.internal(system, owner, delegations))
    }

    /// Altinn's `SystemUserDetailInternalDTO`: with its rights.
    pub(crate) fn detail_json(&self, system: &System, owner: &Party, delegations: &[Delegation]) -> Value {
        let rights = delegations.iter().flat_map(|delegation| &delegation.rights).collect();
        json!(InternalJson { rights: Some(rights), ..self.internal(system, owner, delegations) })
    }

    fn internal<'a>(&'a self, system: &System, owner: &Party, delegations: &'a [Delegation]) -> InternalJson<'a> {
        let access_packages = match self.kind {
            SystemUserKind::Standard => {
                let held = delegations.iter().flat_map(|held| access_packages_json(&held.access_packages));
                held.collect()
            }
            SystemUserKind::Agent => access_packages_json(&self.client_packages),
        };
        InternalJson {
            external: self.external_json(system.vendor),
            system_internal_id: system.internal_id,
            party_id: owner.id.to_string(),
            party_uuid: owner.uuid,
            access_packages,
            rights: None,
        }
    }
}

/// What vendors and Maskinporten see of a system user.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalJson<'a> {
    id: SystemUserId,
    integration_title: &'a str,
    system_id: &'a SystemId,
    /// The system's id, as in Altinn.
    product_name: &'a SystemId,
    reportee_org_no: OrganizationNumber,
    created: Timestamp,
    is_deleted: bool,
    supplier_name: &'static str,
    supplier_orgno: OrganizationNumber,
    external_ref: &'a str,
    user_type: SystemUserKind,
}

/// What the owner's people see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InternalJson<'a> {
    #[serde(flatten)]
    external: ExternalJson<'a>,
    system_internal_id: Uuid,
    party_id: String,
    #[serde(rename = "partyUuId")]
    party_uuid: PartyUuid,
    access_packages: Vec<AccessPackageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<Vec<&'a ResourceRight>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_user_is_withdrawn_once() {
        let now = Timestamp::from_unix_seconds(1);
        let live = SystemUser {
            id: SystemUserId::parse("f950ddae-06c3-4b57-b940-702417a90df0").unwrap(),
            kind: SystemUserKind::Standard,
            client_packages: Vec::new(),
            system: SystemId::parse("310247030_smartcloud").unwrap(),
            owner: OrganizationNumber::parse("310247049").unwrap(),
            external_ref: "310247049".to_owned(),
            integration_title: "SmartCloud".to_owned(),
            created_at: now,
            withdrawn_at: None,
        };
        let withdrawn = live.withdraw(now).unwrap();
        assert_eq!(withdrawn.withdrawn_at, Some(now));
        assert_eq!(withdrawn.withdraw(now), Err(WithdrawnError));
    }
}
