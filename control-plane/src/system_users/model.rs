//! A system user, its delegations, and their JSON forms.

use policies::Timestamp;
use policies::id::{AccessPackage, OrganizationNumber, SystemId, SystemUserId};
use serde_json::{Value, json};

use crate::parties::Party;
use crate::right::{ResourceRight, access_packages_json};
use crate::systems::model::System;

/// A vendor's system acting for its owner. Only standard system users can be requested so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemUser {
    pub(crate) id: SystemUserId,
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

    /// Altinn's `SystemUserExternalDTO`, for vendors and Maskinporten. `productName` is the system's id there too.
    pub(crate) fn external_json(&self, vendor: OrganizationNumber) -> Value {
        json!({
            "id": self.id,
            "integrationTitle": self.integration_title,
            "systemId": self.system,
            "productName": self.system,
            "reporteeOrgNo": self.owner,
            "created": self.created_at,
            "isDeleted": self.withdrawn_at.is_some(),
            "supplierName": "",
            "supplierOrgno": vendor,
            "externalRef": self.external_ref,
            "userType": "standard",
        })
    }

    /// Altinn's `SystemUserInternalDTO`, for the owner's own people.
    pub(crate) fn internal_json(&self, system: &System, owner: &Party, delegations: &[Delegation]) -> Value {
        let packages: Vec<_> =
            delegations.iter().flat_map(|delegation| access_packages_json(&delegation.access_packages)).collect();
        let mut json = self.external_json(system.vendor);
        json["systemInternalId"] = json!(system.internal_id);
        json["partyId"] = json!(owner.id.to_string());
        json["partyUuId"] = json!(owner.uuid);
        json["accessPackages"] = json!(packages);
        json
    }

    /// Altinn's `SystemUserDetailInternalDTO`.
    pub(crate) fn detail_json(&self, system: &System, owner: &Party, delegations: &[Delegation]) -> Value {
        let rights: Vec<_> = delegations.iter().flat_map(|delegation| &delegation.rights).collect();
        let mut json = self.internal_json(system, owner, delegations);
        json["rights"] = json!(rights);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_user_is_withdrawn_once() {
        let now = Timestamp::from_unix_seconds(1);
        let live = SystemUser {
            id: SystemUserId::parse("f950ddae-06c3-4b57-b940-702417a90df0").unwrap(),
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
