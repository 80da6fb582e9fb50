//! Clients: through which relations an organisation is one, and which access packages they carry.

use std::collections::BTreeSet;

use policies::Timestamp;
use policies::id::{AccessPackage, OrganizationNumber, SystemUserId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::parties::Party;
use crate::parties::store::relations::ClientRelation;

/// An organisation that an agent system user acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientDelegation {
    pub(crate) id: Uuid,
    pub(crate) system_user: SystemUserId,
    pub(crate) client: OrganizationNumber,
    pub(crate) created_at: Timestamp,
    /// The user id of whoever added it.
    pub(crate) created_by: i64,
}

/// An organisation with its relations to one provider, its main unit's included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) party: Party,
    pub(crate) relations: Vec<ClientRelation>,
}

impl Candidate {
    /// The last parts of the URNs of the access packages that the provider holds for it.
    pub(crate) fn packages(&self) -> BTreeSet<&'static str> {
        let relations = self.relations.iter();
        relations.flat_map(|relation| relation.role.access_packages(relation.form.as_ref())).collect()
    }

    /// Whether the provider holds all of these for it.
    pub(crate) fn carries(&self, packages: &[AccessPackage]) -> bool {
        self.lacks(packages).is_empty()
    }

    /// Those that the provider does not hold for it.
    pub(crate) fn lacks(&self, packages: &[AccessPackage]) -> Vec<AccessPackage> {
        let held = self.packages();
        packages.iter().filter(|package| !held.contains(package.name())).cloned().collect()
    }

    /// What the change log says of why it may be a client.
    pub(crate) fn basis(&self) -> Value {
        let basis = |relation: &ClientRelation| json!({ "role": relation.role, "from": relation.from });
        self.relations.iter().map(basis).collect()
    }

    /// Altinn's `Customer`.
    pub(crate) fn customer_json(&self) -> Value {
        let access = |relation: &ClientRelation| {
            let packages: Vec<_> = relation.role.access_packages(relation.form.as_ref()).collect();
            json!({ "role": relation.role, "packages": packages })
        };
        json!({
            "partyUuid": self.party.uuid,
            "displayName": self.party.name,
            "organizationIdentifier": self.party.organization,
            "access": self.relations.iter().map(access).collect::<Vec<_>>(),
        })
    }
}

/// Altinn's `DelegationResponse`. The provider itself has no assignment: its id is the nil uuid.
pub(crate) fn delegation_json(delegation: &ClientDelegation, candidate: &Candidate) -> Value {
    json!({
        "agentSystemUserId": delegation.system_user,
        "delegationId": delegation.id,
        "customerId": candidate.party.uuid,
        "assignmentId": candidate.relations.first().map_or(Uuid::nil(), |relation| relation.id),
        "customerName": candidate.party.name,
        "customerOrganizationNumber": candidate.party.organization,
    })
}

/// A client as `ClientInfoPaginated` has it.
pub(crate) fn client_info_json(party: &Party) -> Value {
    json!({
        "clientId": party.uuid,
        "clientOrganizationNumber": party.organization,
        "clientOrganizationName": party.name,
    })
}
