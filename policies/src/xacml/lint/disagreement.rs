//! Where Altinn and the standard answer differently: requests made of what the policy names are decided under both.
//!
//! Each rule is tried alone, with requests made for it; what differs is reported only if the whole policy answers
//! differently, too. Bounded by [`WORK_MAX`], and a finding says so when the bound was met: silence means that all was tried.

use std::collections::{BTreeMap, BTreeSet};

use super::requests::{Values, describe, drawn, request, requests};
use super::{Finding, FindingCode, Severity};
use crate::id::ResourceId;
use crate::xacml::ast::{AllOf, Policy, PolicyDocument, PolicyElement, Rule, Target};
use crate::xacml::request::CATEGORY_ENVIRONMENT;
use crate::xacml::response::{Decision, DecisionResult};
use crate::xacml::rights::{Resource, algorithm, category_of, compared, matches};
use crate::xacml::{CompiledPolicy, Environment, PolicyError, Semantics};
use crate::{Timestamp, urn};

const DIFFER: FindingCode = FindingCode::new(
    "semantics_differ",
    Severity::Warning,
    "Altinn and an engine of the standard decide this request differently, so the policy means two things",
);
const STANDARD_REFUSES: FindingCode =
    FindingCode::new("standard_refuses", Severity::Warning, "an engine of the standard refuses the whole policy");
const NOT_EVALUATED: FindingCode = FindingCode::new(
    "condition_not_evaluated_by_altinn",
    Severity::Error,
    "Altinn evaluates one comparison of one literal with one attribute, and answers anything else with Indeterminate",
);
const CUT_SHORT: FindingCode = FindingCode::new(
    "comparison_cut_short",
    Severity::Note,
    "the policy is so large that not every rule was tried under both semantics; there may be more differences",
);

pub(super) const CODES: &[FindingCode] = &[DIFFER, STANDARD_REFUSES, NOT_EVALUATED, CUT_SHORT];

/// Matches that are evaluated at most, under each semantics.
const WORK_MAX: usize = 1_000_000;
/// How much more work it is to compile than to decide.
const COMPILING: usize = 4;
/// What a condition or variable counts as, in matches.
const CONDITION: usize = 64;
/// What a policy counts as beside its matches.
const FRAME: usize = 8;
/// Steps of one decision.
const FUEL_MAX: u64 = 50_000;
/// Requests of a rule that differ for it alone and are tried on the whole policy.
const WHOLE_MAX: usize = 24;
/// Requests of each rule that are tried on the whole policy although they do not differ for the rule alone.
const TOGETHER_MAX: usize = 6;
/// Differences of rules together whose cause is looked for.
const CAUSES_MAX: usize = 3;
/// When requests are decided: 2026-07-01T12:00 UTC.
const NOON: i64 = 1_782_907_200;
/// When requests are decided for a rule about time: then, in 1970 and at the end of 2099.
const INSTANTS: [i64; 3] = [NOON, 0, 4_102_444_799];

/// A policy under both semantics.
struct Sides {
    altinn: CompiledPolicy,
    standard: CompiledPolicy,
    /// How much work a decision is.
    work: usize,
}

/// A request that both answer differently.
struct Difference {
    values: Values,
    instant: i64,
    altinn: String,
    standard: String,
}

/// What is compared, with what may still be spent.
struct Comparison<'a> {
    document: &'a PolicyDocument,
    resource: Vec<(&'static str, String)>,
    work: usize,
    found: Vec<Finding>,
}

/// Where both differ, and where one of them has no answer.
pub(super) fn findings(document: &PolicyDocument, policy: &Policy, resource: Option<&ResourceId>) -> Vec<Finding> {
    let resource = resource.map(|id| Resource::of(id).attributes()).unwrap_or_default();
    let mut comparison = Comparison { document, resource, work: 0, found: Vec::new() };
    let frame = frame_of(policy);
    for rule in policy.rules.iter().filter(|rule| rule.condition.is_some()) {
        if !comparison.is_spent() {
            comparison.condition(&frame, rule);
        }
    }
    if let Some(policy) = comparison.comparable(policy, frame) {
        comparison.compare(&policy);
    }
    if comparison.is_spent() {
        let message = "not every rule was tried under both semantics";
        comparison.found.push(CUT_SHORT.at(policy.line, message, "divide the policy, or write it shorter"));
    }
    comparison.found
}

impl Comparison<'_> {
    fn compile(&mut self, policy: Policy, semantics: Semantics) -> Result<CompiledPolicy, PolicyError> {
        self.work = self.work.saturating_add(COMPILING.saturating_mul(work_of(&policy)));
        let document = PolicyDocument { file: self.document.file.clone(), root: PolicyElement::Policy(policy) };
        CompiledPolicy::compile(&document, &[], semantics)
    }

    fn sides(&mut self, policy: Policy) -> Option<Sides> {
        let work = work_of(&policy);
        let altinn = self.compile(policy.clone(), Semantics::Altinn).ok()?;
        let standard = self.compile(policy, Semantics::Standard).ok()?;
        Some(Sides { altinn, standard, work })
    }

    /// Whether Altinn can evaluate a rule's condition. `frame` is the policy without rules.
    fn condition(&mut self, frame: &Policy, rule: &Rule) {
        let mut alone = frame.clone();
        alone.algorithm = urn::RULE_PERMIT_OVERRIDES.to_owned();
        alone.target = Target::default();
        alone.rules = vec![Rule { target: Target::default(), notices: Vec::new(), ..rule.clone() }];
        let requests = requests(&alone, &[]);
        let work = work_of(&alone);
        let Ok(compiled) = self.compile(alone, Semantics::Altinn) else { return };
        let environment = Environment { now: Timestamp::from_unix_seconds(NOON), fuel_max: FUEL_MAX };
        let evaluated = requests.iter().any(|values| {
            self.work = self.work.saturating_add(work);
            let results = compiled.decide(&request(values), environment).results;
            results.iter().any(|result| result.decision != Decision::Indeterminate)
        });
        if !evaluated {
            let line = rule.condition.as_ref().map_or(rule.line, |condition| condition.line());
            let message = format!("Altinn does not evaluate the condition of rule `{}`", rule.id);
            let fix = "say it in the target, or have what enforces the decision check it";
            self.found.push(NOT_EVALUATED.at(line, message, fix));
        }
    }

    /// The policy as both can decide it: without the rules that the standard refuses, each of which is a finding.
    fn comparable(&mut self, policy: &Policy, mut frame: Policy) -> Option<Policy> {
        let of_both = [Semantics::Altinn, Semantics::Standard].map(|semantics| algorithm(&policy.algorithm, semantics));
        if of_both.iter().any(Option::is_none) {
            frame.algorithm = urn::RULE_DENY_OVERRIDES.to_owned();
        }
        if let [_, None] = of_both {
            let message = format!("`{}` is no combining algorithm of rules", policy.algorithm);
            self.found.push(STANDARD_REFUSES.at(policy.line, message, format!("write `{}`", urn::RULE_DENY_OVERRIDES)));
        }
        if let Err(error) = self.compile(frame.clone(), Semantics::Standard) {
            self.found.push(STANDARD_REFUSES.at(error.line, error.message, error.cure));
            return None;
        }
        let mut kept = Vec::new();
        for (at, rule) in policy.rules.iter().enumerate() {
            if self.is_spent() {
                break;
            }
            // Two with one id are a finding of their own.
            let rule = Rule { id: at.to_string(), ..rule.clone() };
            match self.compile(with_rules(&frame, [&rule]), Semantics::Standard) {
                Ok(_) => kept.push(rule),
                Err(error) => self.found.push(STANDARD_REFUSES.at(error.line, error.message, error.cure)),
            }
        }
        frame.rules = kept;
        Some(frame)
    }

    fn compare(&mut self, policy: &Policy) {
        let frame = frame_of(policy);
        let Some(whole) = self.sides(policy.clone()) else { return };
        // The worst difference of each rule, and of the policy itself.
        let mut worst: BTreeMap<Option<usize>, Difference> = BTreeMap::new();
        let mut together = Vec::new();
        for (at, rule) in policy.rules.iter().enumerate() {
            if self.is_spent() {
                break;
            }
            let alone = with_rules(&frame, [rule]);
            let requests = requests(&alone, &self.resource);
            let about_time = is_about_time(&alone);
            let Some(sides) = self.sides(alone) else { continue };
            let found = self.of_rule(&sides, &whole, &requests, about_time);
            if !found.as_ref().is_some_and(Difference::is_about_permit) {
                together.extend(requests.into_iter().take(TOGETHER_MAX));
            }
            worst.extend(found.map(|difference| (Some(at), difference)));
        }
        together.extend(drawn(policy, &self.resource));
        self.of_rules_together(policy, &whole, &together, &mut worst);
        for (at, difference) in worst {
            let rule = at.and_then(|at| policy.rules.get(at));
            self.report(rule, policy, &self.shortest(difference, &whole));
        }
    }

    /// A request on which a rule differs alone and the policy differs as a whole; if there is one, about a Permit.
    fn of_rule(&mut self, alone: &Sides, whole: &Sides, requests: &[Values], about_time: bool) -> Option<Difference> {
        let instants = if about_time { INSTANTS.as_slice() } else { &[NOON] };
        let (mut first, mut tried) = (None, 0_usize);
        for values in requests {
            for instant in instants {
                if tried >= WHOLE_MAX || self.is_spent() {
                    return first;
                }
                self.work = self.work.saturating_add(alone.work);
                if alone.differ(values, *instant).is_none() {
                    continue;
                }
                self.work = self.work.saturating_add(whole.work);
                tried = tried.saturating_add(1);
                match whole.differ(values, *instant) {
                    Some(difference) if difference.is_about_permit() => return Some(difference),
                    found => first = first.or(found),
                }
            }
        }
        first
    }

    /// Requests on which the policy differs as a whole, for reasons that no rule shows alone.
    fn of_rules_together(
        &mut self,
        policy: &Policy,
        whole: &Sides,
        requests: &[Values],
        worst: &mut BTreeMap<Option<usize>, Difference>,
    ) {
        let mut differences = Vec::new();
        for values in requests {
            if self.is_spent() {
                break;
            }
            self.work = self.work.saturating_add(whole.work);
            differences.extend(whole.differ(values, NOON));
        }
        differences.sort_by_key(|difference| !difference.is_about_permit());
        // The policy without the rules that are told of, which explain what it does not show.
        let mut rest: Option<(BTreeSet<usize>, Option<Sides>)> = None;
        let mut causes = 0_usize;
        for difference in differences {
            if causes >= CAUSES_MAX || self.is_spent() {
                return;
            }
            let is_worse = |known: &Difference| !known.is_about_permit() && difference.is_about_permit();
            let told = worst.iter().filter(|(_, known)| !is_worse(known)).filter_map(|(at, _)| *at);
            let told: BTreeSet<usize> = told.collect();
            if !told.is_empty() {
                if rest.as_ref().is_none_or(|(known, _)| *known != told) {
                    let others = policy.rules.iter().enumerate().filter(|(at, _)| !told.contains(at));
                    let others = with_rules(&frame_of(policy), others.map(|(_, rule)| rule));
                    rest = Some((told, self.sides(others)));
                }
                self.work = self.work.saturating_add(whole.work);
                let sides = rest.as_ref().and_then(|(_, sides)| sides.as_ref());
                if sides.is_some_and(|sides| sides.differ(&difference.values, NOON).is_none()) {
                    continue;
                }
            }
            causes = causes.saturating_add(1);
            let cause = self.cause(policy, &difference);
            if worst.get(&cause).is_none_or(is_worse) {
                worst.insert(cause, difference);
            }
        }
    }

    /// Position of the rule without which both agree on a request, among as few rules as differ on it.
    fn cause(&mut self, policy: &Policy, difference: &Difference) -> Option<usize> {
        let mut kept: Vec<usize> = (0..policy.rules.len()).collect();
        let mut size = kept.len();
        while size > 1 {
            size = size.div_ceil(2);
            let mut at = 0;
            while at < kept.len() && !self.is_spent() {
                let (begin, end) = (at, at.saturating_add(size));
                let trial = kept.iter().enumerate().filter(|(place, _)| !(begin..end).contains(place));
                let trial: Vec<usize> = trial.map(|(_, rule)| *rule).collect();
                if self.differs_with(policy, &trial, difference) { kept = trial } else { at = end }
            }
        }
        let mut each = kept.clone().into_iter();
        each.find(|out| {
            let others: Vec<usize> = kept.iter().copied().filter(|rule| rule != out).collect();
            !self.differs_with(policy, &others, difference)
        })
    }

    fn differs_with(&mut self, policy: &Policy, rules: &[usize], difference: &Difference) -> bool {
        let rules = rules.iter().filter_map(|at| policy.rules.get(*at));
        let sides = self.sides(with_rules(&frame_of(policy), rules));
        sides.is_some_and(|sides| sides.differ(&difference.values, difference.instant).is_some())
    }

    /// The same difference with as few values as show it.
    fn shortest(&self, mut difference: Difference, whole: &Sides) -> Difference {
        for given in difference.values.clone() {
            // A category without any value would be no request that anybody sends.
            let alone = difference.values.iter().filter(|other| other.is_beside(&given)).count() == 0;
            if alone || given.is_of_resource(&self.resource) {
                continue;
            }
            let mut values = difference.values.clone();
            values.remove(&given);
            match whole.differ(&values, difference.instant) {
                Some(shorter) if (&shorter.altinn, &shorter.standard) == (&difference.altinn, &difference.standard) => {
                    difference = shorter;
                }
                _ => {}
            }
        }
        difference
    }

    fn report(&mut self, rule: Option<&Rule>, policy: &Policy, difference: &Difference) {
        let Difference { values, altinn, standard, instant } = difference;
        let when =
            if *instant == NOON { String::new() } else { format!(" at {}", Timestamp::from_unix_seconds(*instant)) };
        let message = format!("{}{when}: Altinn answers {altinn}, the standard {standard}", describe(values));
        let line = rule.map_or(policy.line, |rule| rule.line);
        self.found.push(DIFFER.at(line, message, rule.map_or(FIX, |rule| fix(rule, policy))));
    }

    fn is_spent(&self) -> bool {
        self.work >= WORK_MAX
    }
}

impl Difference {
    /// Whether one of both permits.
    fn is_about_permit(&self) -> bool {
        [&self.altinn, &self.standard].iter().any(|answer| answer.starts_with(Decision::Permit.as_str()))
    }
}

impl Sides {
    /// Both answers, if they differ.
    fn differ(&self, values: &Values, instant: i64) -> Option<Difference> {
        let environment = Environment { now: Timestamp::from_unix_seconds(instant), fuel_max: FUEL_MAX };
        let request = request(values);
        let answer = |policy: &CompiledPolicy| policy.decide(&request, environment).results.into_iter().next();
        let (altinn, standard) = (answer(&self.altinn)?, answer(&self.standard)?);
        let obligations = told(&altinn) != told(&standard);
        let with_obligations = altinn.decision == Decision::Permit && standard.decision == Decision::Permit;
        if altinn.decision == standard.decision && !(with_obligations && obligations) {
            return None;
        }
        Some(Difference {
            values: values.clone(),
            instant,
            altinn: summary(&altinn, with_obligations),
            standard: summary(&standard, with_obligations),
        })
    }
}

/// The policy without its rules.
fn frame_of(policy: &Policy) -> Policy {
    let Policy { line, id, version, algorithm, description, target, variables, rules: _, notices } = policy;
    Policy {
        line: *line,
        id: id.clone(),
        version: version.clone(),
        algorithm: algorithm.clone(),
        description: description.clone(),
        target: target.clone(),
        variables: variables.clone(),
        rules: Vec::new(),
        notices: notices.clone(),
    }
}

fn with_rules<'a>(frame: &Policy, rules: impl IntoIterator<Item = &'a Rule>) -> Policy {
    Policy { rules: rules.into_iter().cloned().collect(), ..frame.clone() }
}

/// How much work a decision is, in matches.
fn work_of(policy: &Policy) -> usize {
    let targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]);
    let matches = targets.map(|target| matches(target).count()).sum::<usize>();
    let conditions = policy.rules.iter().filter(|rule| rule.condition.is_some()).count();
    let expressions = conditions.saturating_add(policy.variables.len()).saturating_mul(CONDITION);
    matches.saturating_add(expressions).saturating_add(FRAME)
}

/// The obligations of an answer, in one order.
fn told(result: &DecisionResult) -> BTreeSet<String> {
    result.obligations.iter().map(|notice| format!("{notice:?}")).collect()
}

fn summary(result: &DecisionResult, with_obligations: bool) -> String {
    let ids: BTreeSet<_> = result.obligations.iter().map(|notice| format!("`{}`", notice.id)).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    match (with_obligations, ids.is_empty()) {
        (false, _) => result.decision.as_str().to_owned(),
        (true, true) => format!("{} without obligation", result.decision.as_str()),
        (true, false) => format!("{} with {}", result.decision.as_str(), ids.join(", ")),
    }
}

/// Whether a policy of one rule asks for the time.
fn is_about_time(policy: &Policy) -> bool {
    let in_targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]).flat_map(matches);
    let in_conditions = compared(policy).into_iter().flat_map(|together| together.designators);
    in_targets
        .map(category_of)
        .chain(in_conditions.map(|found| found.category.as_str()))
        .any(|category| category == CATEGORY_ENVIRONMENT)
}

/// What to do where nothing better is known.
const FIX: &str = "write it so that both agree, or see to it that it is read in one way only";

/// What makes both agree on a rule, as far as its form shows it.
fn fix(rule: &Rule, policy: &Policy) -> &'static str {
    let any_ofs = || rule.target.0.iter().map(|any_of| any_of.0.iter().flat_map(|AllOf(matches)| matches));
    let in_two = |category: &str| {
        any_ofs().filter(|matches| matches.clone().any(|one| category_of(one) == category)).count() > 1
    };
    let all_ofs = rule.target.0.iter().flat_map(|any_of| &any_of.0);
    let mixed = all_ofs.into_iter().any(|AllOf(matches)| {
        let categories: BTreeSet<_> = matches.iter().map(category_of).collect();
        categories.len() > 1
    });
    if [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION].into_iter().any(in_two) {
        "write all alternatives of a category in one `AnyOf`, and what must hold together in one `AllOf`"
    } else if mixed {
        "give each category an `AnyOf` of its own, if need be in several rules"
    } else if !policy.target.0.is_empty() {
        "leave the policy's target empty, and put what it says into the rules"
    } else if !rule.notices.is_empty() {
        "make it an obligation of the policy"
    } else if rule.condition.is_some() {
        "say it in the target, or have what enforces the decision check it"
    } else {
        FIX
    }
}
