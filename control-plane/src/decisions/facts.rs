//! What a request names, looked up: one read of one instant of the database.
//!
//! What is not what it should be (a number that is none, a uuid that is none) is not looked up, and so not found.

use std::collections::{BTreeMap, BTreeSet};

use policies::id::{OrganizationNumber, PartyUuid, ResourceId, SystemUserId};
use policies::xacml::Semantics;
use policies::xacml::context::Names;

use super::CompiledPolicies;
use crate::parties::model::RoleAssignment;
use crate::parties::{self, Party, PartyId};
use crate::resources::model::{AccessListMode, ResourceState};
use crate::resources::store::AccessListMember;
use crate::store::Connection;
use crate::system_users::model::Delegation;
use crate::{resources, system_users};

/// The part of the database that a request is about.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) resources: Vec<ResourceState>,
    /// XML of the policies that were not compiled before.
    pub(super) policies: BTreeMap<ResourceId, String>,
    pub(super) parties: Vec<Party>,
    pub(super) roles: Vec<RoleAssignment>,
    /// The system users that there are, and whether they are live.
    pub(super) system_users: BTreeMap<SystemUserId, bool>,
    /// What the system users hold for the parties, and for their main units.
    pub(super) delegations: BTreeMap<SystemUserId, Vec<Delegation>>,
    pub(super) memberships: Vec<(ResourceId, AccessListMember)>,
    pub(super) access_lists: Vec<(OrganizationNumber, String)>,
}

impl Facts {
    pub(super) async fn read(
        connection: &mut Connection,
        names: &Names,
        compiled: &CompiledPolicies,
    ) -> Result<Self, sqlx::Error> {
        let resources = resources::store::states(connection, &parsed(&names.resources, ResourceId::parse)).await?;
        let mut policies = BTreeMap::new();
        for resource in &resources {
            if let Some(version) = resource.policy_version
                && !compiled.knows(&resource.id, version)
                && let Some(xml) = resources::store::policy_xml(connection, &resource.id).await?
            {
                policies.insert(resource.id.clone(), xml);
            }
        }
        let parties = parties::store::named(
            connection,
            &parsed(&names.parties, party_id),
            &parsed(&names.organizations, OrganizationNumber::parse),
            &parsed(&names.party_uuids, PartyUuid::parse),
        )
        .await?;
        let organizations: BTreeSet<_> = parties.iter().map(|party| party.organization).collect();
        let with_main_units: BTreeSet<_> =
            parties.iter().filter_map(|party| party.main_unit).chain(organizations.iter().copied()).collect();
        let users = parsed(&names.users, str::parse);
        let system_users = parsed(&names.system_users, SystemUserId::parse);
        let restricted: BTreeSet<_> = resources
            .iter()
            .filter(|resource| resource.access_list_mode == AccessListMode::Enabled)
            .map(|resource| resource.id.clone())
            .collect();
        Ok(Self {
            policies,
            roles: parties::store::roles(connection, &users, &with_main_units).await?,
            system_users: system_users::store::are_live(connection, &system_users).await?,
            delegations: system_users::store::live_delegations(connection, &system_users, &with_main_units).await?,
            memberships: resources::store::memberships(connection, &restricted, &organizations).await?,
            access_lists: resources::store::lists_of(connection, &organizations).await?,
            resources,
            parties,
        })
    }

    /// What a system user holds for a party or its main unit.
    pub(super) fn held_for<'a>(&'a self, system_user: &str, party: &'a Party) -> impl Iterator<Item = &'a Delegation> {
        let held = SystemUserId::parse(system_user).ok().and_then(|id| self.delegations.get(&id));
        held.into_iter().flatten().filter(|delegation| counts_for(party, delegation.party))
    }

    /// Why a system user has no right at all for the party, with the code that gateways have for it; `None` if it has some.
    pub(super) fn why_nothing(&self, system_user: &str, party: Option<&str>) -> Option<(&'static str, &'static str)> {
        match SystemUserId::parse(system_user).ok().and_then(|id| self.system_users.get(&id)) {
            None => return Some(("system_user_unknown", "there is no such system user")),
            Some(false) => return Some(("system_user_withdrawn", "the system user was withdrawn")),
            Some(true) => {}
        }
        let party = self.parties.iter().find(|known| party.is_some_and(|text| known.organization.to_string() == text));
        let holds = party.is_some_and(|party| self.held_for(system_user, party).next().is_some());
        (!holds).then_some(("party_not_represented", "the system user does not act for the party"))
    }

    /// How the request is read and answered: as the standard says if it names resources whose policies are stored with
    /// `standard`, and no others; as Altinn does otherwise, and when it names nothing because it cannot be read either way.
    pub(super) fn semantics(&self, names: &Names) -> Semantics {
        let is_standard = |name: &String| {
            let mut resources = self.resources.iter();
            resources.any(|known| known.id.as_str() == name && known.semantics == Semantics::Standard)
        };
        if !names.resources.is_empty() && names.resources.iter().all(is_standard) {
            Semantics::Standard
        } else {
            Semantics::Altinn
        }
    }
}

/// Whether what is held for an organisation is held for this party.
pub(super) fn counts_for(party: &Party, organization: OrganizationNumber) -> bool {
    party.organization == organization || party.main_unit == Some(organization)
}

fn party_id(text: &str) -> Option<PartyId> {
    PartyId::try_from(text.parse::<i64>().ok()?).ok()
}

/// The texts that are what they should be.
fn parsed<T: Ord, R>(texts: &BTreeSet<String>, parse: impl Fn(&str) -> R) -> BTreeSet<T>
where
    R: IntoIterator<Item = T>,
{
    texts.iter().flat_map(|text| parse(text)).collect()
}
