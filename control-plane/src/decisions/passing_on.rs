//! Which rights a person may pass on at a party: what the person could do, counting the access packages that it may give
//! to others instead of those that it holds.

use policies::id::{ActionId, ResourceId};
use policies::urn;
use policies::xacml::Semantics;
use policies::xacml::context::{EntryPoint, Names};

use super::compiled_policies::DecidingPolicy;
use super::facts::Facts;
use super::of_user::{Asked, LoggedInUser, Verdict, request, verdict};
use super::world::Purpose;
use super::{judge, world};
use crate::parties::Party;
use crate::problem::Problem;
use crate::resources;
use crate::right::ResourceRight;
use crate::service::beside;
use crate::state::AppState;
use crate::store::{Connection, Transaction};

/// What of subjects a resource's policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PolicySubjects {
    pub(crate) roles: bool,
    pub(crate) access_packages: bool,
}

/// A right, action by action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PassedOn {
    /// One for each action: the right's, or all of the policy in force.
    pub(crate) verdicts: Vec<(ActionId, Verdict)>,
    pub(crate) subjects: PolicySubjects,
}

/// Decides each right, in order; `None` is a right to what has no policy that can be read, or to an action that its
/// policy does not have.
pub(crate) async fn decide(
    state: &AppState,
    connection: &mut Connection,
    user: LoggedInUser,
    party: &Party,
    rights: &[ResourceRight],
) -> Result<Vec<Option<PassedOn>>, Problem> {
    let names = names(user, party, rights);
    let facts = Facts::read(connection, &names, &state.compiled_policies).await?;
    let (state, party, rights) = (state.clone(), party.clone(), rights.to_vec());
    beside(move || {
        let world = world::with_purpose(Purpose::PassOn, &facts, &names, &state.compiled_policies);
        let actions: Vec<_> = rights
            .iter()
            .map(|right| {
                let policy = policy(&facts, &state, &right.resource)?;
                let is_asked = |action: &&ActionId| right.action.as_ref().is_none_or(|named| named == *action);
                let actions: Vec<_> = policy.actions.iter().filter(is_asked).cloned().collect();
                (!actions.is_empty()).then(|| (actions, subjects(&policy)))
            })
            .collect();
        let share = judge::share(actions.iter().flatten().map(|(actions, _)| actions.len()).sum());
        let decide = |resource: &ResourceId, action: &ActionId| {
            let asked = Asked { resource: resource.to_string(), action: action.to_string() };
            let request = request(user, &party, &asked);
            let decided = judge::decide_with(share, Semantics::Altinn, &request, &world, EntryPoint::Internal, &state);
            decided.results.first().map_or(Verdict::Undecided, |result| verdict(user, result))
        };
        let of_right = |(right, found): (&ResourceRight, Option<(Vec<ActionId>, PolicySubjects)>)| {
            let (actions, subjects) = found?;
            let decide = |action: ActionId| {
                let verdict = decide(&right.resource, &action);
                (action, verdict)
            };
            Some(PassedOn { verdicts: actions.into_iter().map(decide).collect(), subjects })
        };
        rights.iter().zip(actions).map(of_right).collect()
    })
    .await
}

/// Compiles the policies that rights are about and that were not compiled before, from what was just read. Called before a
/// write begins, so that no other waits for it; what is replaced until then, [`decide`] compiles.
pub(crate) async fn compile(state: &AppState, mut read: Transaction, rights: &[ResourceRight]) -> Result<(), Problem> {
    let ids = rights.iter().map(|right| right.resource.clone()).collect();
    let mut unknown = Vec::new();
    for resource in resources::store::states(&mut read, &ids).await? {
        if let Some(version) = resource.policy_version
            && !state.compiled_policies.knows(&resource.id, version)
            && let Some(xml) = resources::store::policy_xml(&mut read, &resource.id).await?
        {
            unknown.push((resource, version, xml));
        }
    }
    drop(read);
    if unknown.is_empty() {
        return Ok(());
    }
    let state = state.clone();
    beside(move || {
        for (resource, version, xml) in unknown {
            state.compiled_policies.of(&resource.id, version, resource.semantics, Some(&xml));
        }
    })
    .await
}

fn names(user: LoggedInUser, party: &Party, rights: &[ResourceRight]) -> Names {
    Names {
        resources: rights.iter().map(|right| right.resource.to_string()).collect(),
        organizations: [party.organization.to_string()].into(),
        users: [user.user_id.to_string()].into(),
        ..Names::default()
    }
}

/// The policy in force; the world was made, so it has been compiled.
fn policy(facts: &Facts, state: &AppState, resource: &ResourceId) -> Option<std::sync::Arc<DecidingPolicy>> {
    let known = facts.resources.iter().find(|known| known.id == *resource)?;
    let xml = facts.policies.get(resource).map(String::as_str);
    state.compiled_policies.of(resource, known.policy_version?, known.semantics, xml)
}

fn subjects(policy: &DecidingPolicy) -> PolicySubjects {
    let names = |prefix: &str| policy.subject_attributes.iter().any(|id| id.starts_with(prefix));
    PolicySubjects {
        roles: names("urn:altinn:rolecode") || names("urn:altinn:external-role"),
        access_packages: names(urn::ACCESS_PACKAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_state::TestState;

    #[tokio::test]
    async fn policies_are_compiled_before_a_write_begins() {
        let test = TestState::with_request().await;
        let right = ResourceRight { resource: "vat".parse().unwrap(), action: None, valid_to: None };
        let names = Names { resources: ["vat".to_owned()].into(), ..Names::default() };
        let uncompiled = async |test: &TestState| {
            let mut read = test.state.store.read().await.unwrap();
            Facts::read(&mut read, &names, &test.state.compiled_policies).await.unwrap().policies.len()
        };
        assert_eq!(uncompiled(&test).await, 1);
        let unknown = ResourceRight { resource: "none".parse().unwrap(), action: None, valid_to: None };
        let read = test.state.store.read().await.unwrap();
        compile(&test.state, read, &[right, unknown]).await.unwrap();
        assert_eq!(uncompiled(&test).await, 0);
        test.approve().await;
    }
}
