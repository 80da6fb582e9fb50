//! A decision as Altinn's service makes it: the request is completed from what is known about parties, roles, packages
//! and instances, the resource's policy decides, then delegations, then the access list.
//!
//! What is known is a [`World`], passed in; nothing is looked up elsewhere. [`Names`] tells what of the world matters. How a request is completed is in `enrich`, how
//! delegated rights become policies in [`delegation_policy`]. An error anywhere is one Indeterminate for the whole request,
//! as at Altinn: only a Permit may pass.

mod delegation;
mod enrich;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use super::request::{Category, Request, RequestError};
use super::response::{Decision, DecisionResult, Response, StatusCode};
use super::{CompiledPolicy, Environment, Form, Semantics};
use crate::urn;
use enrich::Complete;

pub use delegation::delegation_policy;
pub use names::Names;

/// Says why a Permit became a Deny.
pub const NOT_LISTED: &str = "the party is on none of the resource's access lists";

/// What is known when a decision is made.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Policies by resource; those of apps by `app_{owner}_{app}`.
    pub policies: BTreeMap<String, CompiledPolicy>,
    /// Organisations and people.
    pub parties: Vec<Party>,
    /// Numbers of users by national identity number.
    pub users: BTreeMap<String, String>,
    /// Instances of apps by `{party}/{uuid}`.
    pub instances: BTreeMap<String, Instance>,
    /// Role codes by number of the user and number of the party.
    pub roles: BTreeMap<(String, String), Vec<String>>,
    /// Roles by their names in the register of business enterprises, by number of the user and number of the party.
    pub register_roles: BTreeMap<(String, String), Vec<String>>,
    /// Roles in the estates of the dead.
    pub estate_roles: Vec<EstateRole>,
    /// Access packages.
    pub access_packages: Vec<PackageGrant>,
    /// Access packages that users have through their roles, by number of the user and number of the party.
    pub user_packages: BTreeMap<(String, String), Vec<String>>,
    /// Access lists (`{owner}:{list}`) by uuid of the party on them.
    pub access_lists: BTreeMap<String, Vec<String>>,
    /// Resources that only members of their access lists may use.
    pub restricted_resources: BTreeSet<String>,
    /// Who is a member.
    pub memberships: Vec<Membership>,
    /// Rights given by one party to another, in the order in which they are tried.
    pub delegations: Vec<Delegation>,
}

/// An organisation or a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Its number.
    pub id: String,
    /// Its uuid.
    pub uuid: String,
    /// The organisation's number; none for a person.
    pub organization: Option<String>,
    /// The person's identity number.
    pub person: Option<String>,
}

/// An instance of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Who owns the app.
    pub owner: String,
    /// The app.
    pub app: String,
    /// Number of the party it is about.
    pub party: String,
    /// Where its process is.
    pub task: Option<String>,
    /// How its process ended.
    pub end_event: Option<String>,
}

/// A role that one person has in the estate of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstateRole {
    /// Identity number of the dead.
    pub from: String,
    /// Identity number of the holder.
    pub to: String,
    /// The role's URN.
    pub role: String,
}

/// Packages that one party gave to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageGrant {
    /// Uuid of the giver.
    pub from: String,
    /// Uuid of the holder: a party or a system user.
    pub to: String,
    /// Last parts of the packages' URNs.
    pub packages: Vec<String>,
}

/// A place on the access list of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Number of the organisation.
    pub organization: String,
    /// The resource.
    pub resource: String,
    /// The actions it is for; none for all.
    pub actions: Option<Vec<String>>,
}

/// A policy that gives rights to one subject.
#[derive(Debug, Clone)]
pub struct Delegation {
    /// The resource.
    pub resource: String,
    /// Uuid of the instance, if it is for one only.
    pub instance: Option<String>,
    /// For which party and subject (attribute and value) it is found.
    pub found_by: Vec<(String, String, String)>,
    /// The attribute of the subject that the policy speaks of, which a subject gains by finding it.
    pub recipient: Option<(String, String)>,
    /// The policy.
    pub policy: CompiledPolicy,
}

/// Which of Altinn's two ways in; they answer errors differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPoint {
    /// `decision`, for the platform itself.
    Internal,
    /// `authorize`, for service owners.
    External,
}

/// What is wrong with a request, as opposed to with what it asks for.
#[derive(Debug)]
struct WrongRequest(String);

/// The answer to a request that cannot be read. Altinn's outer door tells arguments that are wrong from requests that are.
pub fn refused(error: &RequestError, entry: EntryPoint) -> Response {
    let is_argument = matches!(error.code, "value_invalid" | "data_type_unknown" | "category_id_missing");
    let code = match entry {
        EntryPoint::External if is_argument => StatusCode::ProcessingError,
        _ => StatusCode::SyntaxError,
    };
    Response::indeterminate(code, error.message.clone())
}

/// Decides as Altinn does.
pub fn decide(request: &Request, world: &World, entry: EntryPoint, environment: Environment) -> Response {
    decide_as(Semantics::Altinn, request, world, entry, environment)
}

/// Decides in the same context, with the decisions that the request asks for and what it wants answered read as the
/// semantics say. How a policy is read is the policy's own.
pub fn decide_as(
    semantics: Semantics,
    request: &Request,
    world: &World,
    entry: EntryPoint,
    environment: Environment,
) -> Response {
    let wrong = |WrongRequest(message)| match entry {
        EntryPoint::Internal => Response::indeterminate(StatusCode::SyntaxError, message),
        EntryPoint::External => Response::indeterminate(StatusCode::ProcessingError, message),
    };
    if request.combined_decision {
        return wrong(WrongRequest(super::COMBINED_DECISION.to_owned()));
    }
    let decisions = match request.decisions(semantics) {
        Ok(decisions) => decisions,
        Err(error) => return wrong(WrongRequest(error.message)),
    };
    let results: Result<Vec<_>, _> =
        decisions.into_iter().map(|categories| world.decide_one(&categories, request, entry, environment)).collect();
    results.map_or_else(wrong, |results| Response { results })
}

impl World {
    fn decide_one(
        &self,
        categories: &[&Category],
        request: &Request,
        entry: EntryPoint,
        environment: Environment,
    ) -> Result<DecisionResult, WrongRequest> {
        let mut complete = Complete::of(categories, entry)?;
        complete.resource(self);
        let resource = complete.resource_id().ok_or_else(|| WrongRequest("no resource is named".to_owned()))?;
        let subject = complete.subject(self, entry)?;
        let policy = self
            .policies
            .get(&resource)
            .ok_or_else(|| WrongRequest(format!("the resource `{resource}` has no policy")))?;
        complete.subject_attributes(self, policy, &subject);
        let mut result = complete.decide(policy, request, environment);
        if result.decision == Decision::NotApplicable
            && let Some(delegated) = self.by_delegation(&complete, &resource, policy, request, environment)
        {
            result = delegated;
        }
        if result.decision == Decision::Permit && !self.is_listed(&complete, &resource) {
            result = DecisionResult::plain(Decision::Deny);
            result.status.message = Some(NOT_LISTED.to_owned());
        }
        Ok(result)
    }

    /// The first delegation that permits. Errors in delegations count as nothing.
    fn by_delegation(
        &self,
        complete: &Complete,
        resource: &str,
        policy: &CompiledPolicy,
        request: &Request,
        environment: Environment,
    ) -> Option<DecisionResult> {
        let party = complete.party()?;
        let found = self.delegations.iter().filter(|delegation| {
            let of_instance = delegation.instance.as_deref().is_none_or(|uuid| complete.is_about_instance(uuid));
            let of_subject = delegation
                .found_by
                .iter()
                .any(|(of_party, id, value)| *of_party == party && complete.has(urn::CATEGORY_SUBJECT, id, value));
            delegation.resource == resource && of_instance && of_subject
        });
        for delegation in found {
            let mut with_recipient = complete.clone();
            if let Some((id, value)) = &delegation.recipient {
                with_recipient.add_if_new(urn::CATEGORY_SUBJECT, id, value);
            }
            let mut result = with_recipient.decide(&delegation.policy, request, environment);
            if result.decision == Decision::Indeterminate && result.status.code == StatusCode::SyntaxError {
                // What is thrown in one ends the look at all.
                return None;
            }
            if result.decision == Decision::Permit {
                if result.obligations.is_empty() {
                    result.obligations = policy.obligations_on_permit();
                }
                return Some(result);
            }
        }
        None
    }

    /// Whether the party may use the resource, or the resource is open to all.
    fn is_listed(&self, complete: &Complete, resource: &str) -> bool {
        if !self.restricted_resources.contains(resource) {
            return true;
        }
        let party = complete.party().and_then(|id| self.parties.iter().find(|party| party.id == id));
        let Some(organization) = party.and_then(|party| party.organization.as_deref()) else { return false };
        self.memberships.iter().any(|membership| {
            let of_action = |actions: &Vec<String>| {
                actions.iter().any(|action| complete.has(urn::CATEGORY_ACTION, urn::ACTION_ID, action))
            };
            membership.organization == organization
                && membership.resource == resource
                && membership.actions.as_ref().is_none_or(of_action)
        })
    }
}

impl CompiledPolicy {
    /// Whether some rule's target names this attribute of the subject; a policy of the standard may name any.
    fn names_subject_attribute(&self, id: &str) -> bool {
        match &self.form {
            Form::Standard(_) => true,
            Form::Altinn(policy) => policy.subject_attributes().contains(id),
        }
    }
}

#[cfg(test)]
mod tests;
