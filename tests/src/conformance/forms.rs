//! Whether a resource's rules answer as its policy does, tried on the policies of a suite.
//!
//! For a policy that is exact (`policies::xacml::RightsForm`), calls of a system user are decided twice: by the rules, and by
//! evaluating the policy. Calls are made of what the policy names; they are the same every time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::Result;
use policies::id::{AccessPackage, ActionId, ResourceId};
use policies::urn;
use policies::xacml::lint::resource_of;
use policies::xacml::request::{Category, Request, RequestAttribute, RequestValue};
use policies::xacml::response::{Decision, Notice};
use policies::xacml::{CompiledPolicy, Environment, GatewayAttributes, ResourcePolicy, RightsForm, Semantics};

use super::case;

/// Most calls that are decided for one policy.
const CALLS_MAX: usize = 400;
/// Sets of packages drawn for each action, besides none, each single one and all.
const SETS_DRAWN: usize = 12;
const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

/// Who calls, and for whom.
const SYSTEM_USER: &str = "f950ddae-06c3-4b57-b940-702417a90df0";
const PARTY: &str = "310247049";

/// What came of the policies of one suite.
#[derive(Debug, Default)]
pub struct FormsReport {
    /// Name of the suite.
    pub name: String,
    /// Files `policy.xml`.
    pub policies: usize,
    /// Those that are a look-up for the resource that they name.
    pub exact: usize,
    /// Those that are evaluated.
    pub general: usize,
    /// Calls that were decided both ways.
    pub requests: usize,
    /// How often the answers differed.
    pub different: usize,
    /// The first difference of each case.
    pub examples: BTreeMap<String, String>,
}

/// A call of a system user.
struct Call {
    action: ActionId,
    held: BTreeSet<AccessPackage>,
    /// Whether the right was delegated to the system user directly.
    delegated: bool,
}

/// What a call comes to: whether it is let through, at which level, with which obligations that nobody knows.
type Outcome = (bool, u8, BTreeSet<String>);

impl FormsReport {
    /// Tries the policy of a case, if it has one and says whose it is. Policies that are refused are neither exact nor
    /// general.
    pub(super) fn add(&mut self, folder: &Path, semantics: Semantics) -> Result<()> {
        let path = folder.join("policy.xml");
        if !path.is_file() {
            return Ok(());
        }
        self.policies += 1;
        let Ok(document) = case::document(&path)? else { return Ok(()) };
        let named = case::resource_of(folder).or_else(|| resource_of(&document));
        let Some(resource) = named else { return Ok(()) };
        let (Ok(read), Ok(policy)) = (
            ResourcePolicy::read(&case::read(&path)?, &resource, semantics),
            CompiledPolicy::compile(&document, &[], semantics),
        ) else {
            return Ok(());
        };
        match read.form() {
            RightsForm::General { .. } => self.general += 1,
            RightsForm::Exact => {
                self.exact += 1;
                for call in calls(&read) {
                    self.requests += 1;
                    let (by_rules, by_policy) = (by_rules(&read, &call), by_policy(&policy, &resource, &call));
                    if by_rules != by_policy || by_policy != at_gateway(&policy, &resource, &call) {
                        self.different += 1;
                        let Call { action, held, delegated } = call;
                        let held: Vec<_> = held.iter().map(AccessPackage::name).collect();
                        let example = format!(
                            "`{action}` with {held:?}, delegated {delegated}: rules {by_rules:?}, policy {by_policy:?}"
                        );
                        self.examples.entry(super::file_name(folder)).or_insert(example);
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for FormsReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, policies, exact, general, requests, different, examples } = self;
        write!(
            formatter,
            "{name}: {policies} policies, {exact} exact, {general} general, {requests} requests compared, {different} different"
        )?;
        for (case, example) in examples {
            write!(formatter, "\n  {case}: {example}")?;
        }
        Ok(())
    }
}

/// Every action that the policy names and one that it does not, with sets of packages that it names and of others.
fn calls(read: &ResourcePolicy) -> Vec<Call> {
    let mut packages: Vec<_> = read.access_packages().into_iter().collect();
    packages.extend(["jordbruk", "not-a-package"].into_iter().filter_map(|name| AccessPackage::from_name(name).ok()));
    let actions: Vec<_> = read.actions().into_iter().chain(ActionId::parse("not-an-action").ok()).collect();
    let mut dice = 0x706f_7274_7661_6b06_u64;
    let mut drawn = |below: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        usize::try_from(dice % 1_000_003).unwrap_or(0) % below
    };
    let mut sets = vec![BTreeSet::new(), packages.iter().cloned().collect()];
    sets.extend(packages.iter().map(|package| BTreeSet::from([package.clone()])));
    let mut calls = Vec::new();
    for action in &actions {
        for _ in 0..SETS_DRAWN {
            sets.push(packages.iter().filter(|_| drawn(3) == 0).cloned().collect());
        }
        for held in &sets {
            calls.push(Call { action: action.clone(), held: held.clone(), delegated: drawn(2) == 0 });
        }
        sets.truncate(packages.len() + 2);
    }
    // Too many are thinned out evenly, so that no action is left out.
    let step = calls.len().div_ceil(CALLS_MAX).max(1);
    calls.into_iter().step_by(step).collect()
}

fn by_rules(read: &ResourcePolicy, call: &Call) -> Outcome {
    let gives = read.rules().iter().any(|rule| {
        rule.actions.contains(&call.action) && rule.access_packages.iter().any(|package| call.held.contains(package))
    });
    if gives {
        (true, read.minimum_authentication_level(), read.unknown_obligations().clone())
    } else {
        (call.delegated, 0, BTreeSet::new())
    }
}

fn by_policy(policy: &CompiledPolicy, resource: &ResourceId, call: &Call) -> Outcome {
    let response = policy.decide(&request(resource, call), environment());
    match response.results.as_slice() {
        [result] => outcome(result.decision, &result.obligations, call),
        _ => outcome(Decision::Indeterminate, &[], call),
    }
}

/// The same, as gateways evaluate: without a request.
fn at_gateway(policy: &CompiledPolicy, resource: &ResourceId, call: &Call) -> Outcome {
    let held: Vec<_> = call.held.iter().map(AccessPackage::name).collect();
    let known = GatewayAttributes {
        system_user: SYSTEM_USER,
        access_packages: &held,
        resource: resource.as_str(),
        party_organization: PARTY,
        action: call.action.as_str(),
    };
    let decided = policy.decide_attributes(&known, environment());
    outcome(decided.decision, &decided.obligations, call)
}

fn environment() -> Environment {
    Environment::at(policies::Timestamp::from_unix_seconds(case::NOW_SECONDS))
}

fn outcome(decision: Decision, obligations: &[Notice], call: &Call) -> Outcome {
    match decision {
        Decision::Permit => {
            let (level, unknown) = demanded(obligations);
            (true, level, unknown)
        }
        Decision::NotApplicable => (call.delegated, 0, BTreeSet::new()),
        Decision::Deny | Decision::Indeterminate => (false, 0, BTreeSet::new()),
    }
}

/// What the obligations of a Permit demand.
fn demanded(obligations: &[Notice]) -> (u8, BTreeSet<String>) {
    let (mut level, mut unknown) = (0, BTreeSet::new());
    for notice in obligations {
        let mut known = !notice.assignments.is_empty();
        for assignment in &notice.assignments {
            match assignment.category.as_deref() {
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL) => {
                    level = level.max(assignment.value.trim().parse().unwrap_or(u8::MAX));
                }
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL_ORG) => {}
                _ => known = false,
            }
        }
        if !known {
            unknown.insert(notice.id.clone());
        }
    }
    (level, unknown)
}

/// The request that a gateway would send.
fn request(resource: &ResourceId, call: &Call) -> Request {
    let attribute = |id: &str, value: &str| RequestAttribute {
        id: id.to_owned(),
        values: vec![RequestValue { data_type: STRING.to_owned(), text: value.to_owned() }],
        ..RequestAttribute::default()
    };
    let category = |category: &str, attributes| Category { category: category.to_owned(), id: None, attributes };
    let mut subject = vec![attribute(urn::SYSTEM_USER_UUID, SYSTEM_USER)];
    subject.extend(call.held.iter().map(|package| attribute(urn::ACCESS_PACKAGE, package.name())));
    let mut about = vec![attribute(urn::RESOURCE, resource.as_str())];
    if let Some((owner, app)) = resource.as_str().strip_prefix("app_").and_then(|rest| rest.split_once('_')) {
        about.extend([attribute(urn::APP_OWNER, owner), attribute(urn::APP, app)]);
    }
    about.extend([
        attribute("urn:altinn:partyid", "50001337"),
        attribute("urn:altinn:party:uuid", "0b6bd9ec-8f5b-4b0a-8a2b-0c4e6c1c3f11"),
        attribute(urn::ORGANIZATION_NUMBER, PARTY),
    ]);
    let categories = vec![
        category(urn::CATEGORY_SUBJECT, subject),
        category(urn::CATEGORY_RESOURCE, about),
        category(urn::CATEGORY_ACTION, vec![attribute(urn::ACTION_ID, call.action.as_str())]),
    ];
    Request { categories, ..Request::default() }
}
