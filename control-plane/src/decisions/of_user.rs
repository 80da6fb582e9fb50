//! What a person may do at a party, for the control plane's own use: who may call, and what an approver may pass on.
//!
//! The same facts, world and decision as for whoever asks over HTTP; obligations are seen to here.

use policies::urn;
use policies::xacml::Semantics;
use policies::xacml::context::{EntryPoint, NOT_LISTED, Names};
use policies::xacml::request::{Category, Request};
use policies::xacml::response::{Decision, DecisionResult};

use super::authzen::attribute;
use super::facts::Facts;
use super::{judge, obligations, world};
use crate::parties::Party;
use crate::problem::Problem;
use crate::service::beside;
use crate::state::AppState;
use crate::store::Connection;

/// A person, and how strongly it has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoggedInUser {
    pub(crate) user_id: i64,
    pub(crate) authentication_level: u8,
}

/// What is asked of a person: an action on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) resource: String,
    pub(crate) action: String,
}

/// The answer about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Permitted,
    /// Permitted to whoever has logged in at this level.
    LevelTooLow {
        needed: u64,
    },
    /// The party is on none of the resource's access lists.
    NotListed,
    /// No rule gives it, or one denies it.
    Refused,
    /// The resource has no policy, or the policy cannot decide.
    Undecided,
}

/// Decides each of what is asked, in its order, from what `connection` sees.
pub(crate) async fn decide(
    state: &AppState,
    connection: &mut Connection,
    user: LoggedInUser,
    party: &Party,
    asked: Vec<Asked>,
) -> Result<Vec<Verdict>, Problem> {
    let requests: Vec<_> = asked.iter().map(|asked| request(user, party, asked)).collect();
    let all = requests.iter().flat_map(|request| request.categories.iter().cloned()).collect();
    let names = Names::of(&Request { categories: all, ..Request::default() });
    let facts = Facts::read(connection, &names, &state.compiled_policies).await?;
    let state = state.clone();
    beside(move || {
        let world = world::of(&facts, &names, &state.compiled_policies);
        let share = judge::share(requests.len());
        let decide = |request: &Request| {
            let decided = judge::decide_with(share, Semantics::Altinn, request, &world, EntryPoint::Internal, &state);
            decided.results.first().map_or(Verdict::Undecided, |result| verdict(user, result))
        };
        requests.iter().map(decide).collect()
    })
    .await
}

pub(super) fn verdict(user: LoggedInUser, result: &DecisionResult) -> Verdict {
    match result.decision {
        Decision::Permit => match obligations::levels(&result.obligations) {
            Ok(levels) if u64::from(user.authentication_level) >= levels.minimum => Verdict::Permitted,
            Ok(levels) => Verdict::LevelTooLow { needed: levels.minimum },
            Err(_) => Verdict::Undecided,
        },
        Decision::Deny if result.status.message.as_deref() == Some(NOT_LISTED) => Verdict::NotListed,
        Decision::Deny | Decision::NotApplicable => Verdict::Refused,
        Decision::Indeterminate => Verdict::Undecided,
    }
}

pub(super) fn request(user: LoggedInUser, party: &Party, asked: &Asked) -> Request {
    let category = |category: &str, attributes| Category { category: category.to_owned(), id: None, attributes };
    Request {
        categories: vec![
            category(urn::CATEGORY_SUBJECT, vec![attribute(urn::CLAIM_USER_ID, &user.user_id.to_string())]),
            category(urn::CATEGORY_ACTION, vec![attribute(urn::ACTION_ID, &asked.action)]),
            category(
                urn::CATEGORY_RESOURCE,
                vec![
                    attribute(urn::RESOURCE, &asked.resource),
                    attribute(urn::ORGANIZATION_NUMBER, &party.organization.to_string()),
                ],
            ),
        ],
        ..Request::default()
    }
}
