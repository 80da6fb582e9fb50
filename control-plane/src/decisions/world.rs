//! From what was looked up to the world that a request is decided in.
//!
//! What somebody holds for a main unit counts for its sub units: it is written out here, for the parties that the request
//! names. Delegated rights become a policy for each system user, party and resource.

use std::collections::BTreeSet;

use policies::id::ActionId;
use policies::urn;
use policies::xacml::context::{self, Membership, Names, PackageGrant, World, delegation_policy};

use super::compiled_policies::{CompiledPolicies, DecidingPolicy};
use super::facts::{Facts, counts_for};
use crate::parties::Party;
use crate::resources::model::AccessListMode;
use crate::right::ResourceRight;

/// What users do with their access packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They act on what they hold.
    Act,
    /// They give to others what they may pass on.
    PassOn,
}

/// The world in which everybody acts; policies that were not compiled before are compiled, which takes time.
pub(super) fn of(facts: &Facts, names: &Names, compiled: &CompiledPolicies) -> World {
    with_purpose(Purpose::Act, facts, names, compiled)
}

/// The world as it is for a purpose.
pub(super) fn with_purpose(purpose: Purpose, facts: &Facts, names: &Names, compiled: &CompiledPolicies) -> World {
    let mut world = World::default();
    for resource in &facts.resources {
        if resource.access_list_mode == AccessListMode::Enabled {
            world.restricted_resources.insert(resource.id.to_string());
        }
        let Some(version) = resource.policy_version else { continue };
        let xml = facts.policies.get(&resource.id).map(String::as_str);
        let Some(policy) = compiled.of(&resource.id, version, resource.semantics, xml) else { continue };
        for (party, system_user) in pairs(facts, names) {
            let held = facts.held_for(system_user, party).flat_map(|delegation| &delegation.rights);
            let held = held.filter(|right| right.resource == resource.id);
            world.delegations.extend(delegation(resource.id.as_str(), &policy, party, system_user, held));
        }
        world.policies.insert(resource.id.to_string(), policy.compiled.clone());
    }
    for resource in &names.resources {
        if let Some(policy) = compiled.built_in(resource) {
            world.policies.insert(resource.clone(), policy.clone());
        }
    }
    for party in &facts.parties {
        world.parties.push(context::Party {
            id: party.id.to_string(),
            uuid: party.uuid.to_string(),
            organization: Some(party.organization.to_string()),
            person: None,
        });
        let of_party = facts.roles.iter().filter(|role| counts_for(party, role.organization));
        for assignment in of_party {
            let key = (assignment.user_id.to_string(), party.id.to_string());
            world.roles.entry(key.clone()).or_default().push(assignment.role.role_code().to_owned());
            world.register_roles.entry(key.clone()).or_default().push(assignment.role.code().to_owned());
            let form = party.form.as_ref().filter(|_| assignment.organization == party.organization);
            let packages = match purpose {
                Purpose::Act => assignment.role.access_packages(form),
                Purpose::PassOn => assignment.role.packages_to_pass_on(form),
            };
            world.user_packages.entry(key).or_default().extend(packages.into_iter().map(str::to_owned));
        }
    }
    for (party, system_user) in pairs(facts, names) {
        let packages = facts.held_for(system_user, party).flat_map(|delegation| &delegation.access_packages);
        world.access_packages.push(PackageGrant {
            from: party.uuid.to_string(),
            to: system_user.to_owned(),
            packages: packages.map(|package| package.name().to_owned()).collect(),
        });
    }
    world.memberships = facts
        .memberships
        .iter()
        .map(|(resource, (organization, actions))| Membership {
            organization: organization.to_string(),
            resource: resource.to_string(),
            actions: actions.as_ref().map(|actions| actions.iter().map(ActionId::to_string).collect()),
        })
        .collect();
    for (organization, list) in &facts.access_lists {
        for party in facts.parties.iter().filter(|party| party.organization == *organization) {
            world.access_lists.entry(party.uuid.to_string()).or_default().push(list.clone());
        }
    }
    world
}

/// Every party with every system user, as the request spells it, that holds something for it.
fn pairs<'a>(facts: &'a Facts, names: &'a Names) -> impl Iterator<Item = (&'a Party, &'a str)> {
    names.system_users.iter().flat_map(move |text| {
        let parties = facts.parties.iter().filter(move |party| facts.held_for(text, party).next().is_some());
        parties.map(move |party| (party, text.as_str()))
    })
}

/// The rights of a system user on one resource for one party, as gateways have them: of the policy's actions.
fn delegation<'a>(
    resource: &str,
    policy: &DecidingPolicy,
    party: &Party,
    system_user: &str,
    rights: impl Iterator<Item = &'a ResourceRight>,
) -> Option<context::Delegation> {
    let actions: BTreeSet<&str> = rights
        .flat_map(|right| {
            let known = policy.actions.iter();
            known.filter(|action| right.action.as_ref().is_none_or(|named| named == *action)).map(ActionId::as_str)
        })
        .collect();
    if actions.is_empty() {
        return None;
    }
    let recipient = (urn::SYSTEM_USER_UUID, system_user);
    Some(context::Delegation {
        resource: resource.to_owned(),
        instance: None,
        found_by: vec![(party.id.to_string(), recipient.0.to_owned(), recipient.1.to_owned())],
        recipient: None,
        policy: delegation_policy(resource, &policy.frame, recipient, actions).ok()?,
    })
}
