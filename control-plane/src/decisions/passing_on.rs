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
use crate::right::ResourceRight;
use crate::service::beside;
use crate::state::AppState;
use crate::store::Connection;

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
