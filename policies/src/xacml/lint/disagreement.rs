//! Where Altinn and the standard answer differently: requests made of what the policy names are decided under both.
//!
//! Each rule is tried alone, with requests made for it; what differs is reported only if the whole policy answers
//! differently, too. Bounded by [`WORK_MAX`], and a finding says so when the bound was met: silence means that all was tried.

use std::collections::{BTreeMap, BTreeSet};

use super::requests::{Values, describe, drawn, request, requests};
use super::{Finding, FindingCode, Severity};
use crate::id::ResourceId;
use crate::xacml::ast::{AllOf, Policy, PolicyDocument, PolicyElement, Rule};
use crate::xacml::request::CATEGORY_ENVIRONMENT;
use crate::xacml::response::{Decision, DecisionResult};
use crate::xacml::rights::{Resource, algorithm, category_of, compared, matches};
use crate::xacml::{CompiledPolicy, Environment, Semantics};
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
/// Steps of one decision.
const FUEL_MAX: u64 = 200_000;
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
    for rule in policy.rules.iter().filter(|rule| rule.condition.is_some()) {
        comparison.condition(policy, rule);
    }
    if let Some(policy) = comparison.comparable(policy) {
        comparison.compare(&policy);
    }
    comparison.found
}

impl Comparison<'_> {
    fn compile(&self, policy: &Policy, semantics: Semantics) -> Result<CompiledPolicy, crate::xacml::PolicyError> {
        let root = PolicyElement::Policy(policy.clone());
        CompiledPolicy::compile(&PolicyDocument { file: self.document.file.clone(), root }, &[], semantics)
    }

    fn sides(&self, policy: &Policy) -> Option<Sides> {
        let altinn = self.compile(policy, Semantics::Altinn).ok()?;
        let standard = self.compile(policy, Semantics::Standard).ok()?;
        let targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]);
        Some(Sides {
            altinn,
            standard,
            work: targets.map(|target| matches(target).count()).sum::<usize>().saturating_add(8),
        })
    }

    /// Whether Altinn can evaluate a rule's condition.
    fn condition(&mut self, policy: &Policy, rule: &Rule) {
        let alone = Policy {
            rules: vec![Rule { target: Default::default(), notices: Vec::new(), ..rule.clone() }],
            algorithm: urn::RULE_PERMIT_OVERRIDES.to_owned(),
            ..policy.clone()
        };
        let Ok(compiled) = self.compile(&alone, Semantics::Altinn) else { return };
        let environment = Environment { now: Timestamp::from_unix_seconds(0), fuel_max: FUEL_MAX };
        let evaluated = requests(&alone, &[]).iter().any(|values| {
            let results = compiled.decide(&request(values), environment).results;
            results.iter().any(|result| result.decision != Decision::Indeterminate)
        });
        if !evaluated {
            let line = rule.condition.as_ref().map_or(rule.line, |condition| condition.line());
            let message = format!("Altinn does not evaluate the condition of rule `{}`", rule.id);
            self.found.push(NOT_EVALUATED.at(
                line,
                message,
                "say it in the target, or have what enforces the decision check it",
            ));
        }
    }

    /// The policy as both can decide it: without the rules that the standard refuses, each of which is a finding.
    fn comparable(&mut self, policy: &Policy) -> Option<Policy> {
        let mut prepared = policy.clone();
        let of_both = [Semantics::Altinn, Semantics::Standard].map(|semantics| algorithm(&policy.algorithm, semantics));
        if of_both.iter().any(Option::is_none) {
            prepared.algorithm = urn::RULE_DENY_OVERRIDES.to_owned();
        }
        if let [_, None] = of_both {
            let message = format!("`{}` is no combining algorithm of rules", policy.algorithm);
            self.found.push(STANDARD_REFUSES.at(policy.line, message, format!("write `{}`", urn::RULE_DENY_OVERRIDES)));
        }
        let rules = std::mem::take(&mut prepared.rules);
        if let Err(error) = self.compile(&prepared, Semantics::Standard) {
            self.found.push(STANDARD_REFUSES.at(error.line, error.message, error.cure));
            return None;
        }
        let mut kept = Vec::new();
        for (at, rule) in rules.into_iter().enumerate() {
            // Two with one id are a finding of their own.
            prepared.rules = vec![Rule { id: at.to_string(), ..rule }];
            match self.compile(&prepared, Semantics::Standard) {
                Ok(_) => kept.append(&mut prepared.rules),
                Err(error) => self.found.push(STANDARD_REFUSES.at(error.line, error.message, error.cure)),
            }
        }
        prepared.rules = kept;
        Some(prepared)
    }

    fn compare(&mut self, policy: &Policy) {
        let Some(whole) = self.sides(policy) else { return };
        // The worst difference of each rule, and of the policy itself.
        let mut worst: BTreeMap<Option<usize>, Difference> = BTreeMap::new();
        let mut together = Vec::new();
        for (at, rule) in policy.rules.iter().enumerate() {
            let alone = Policy { rules: vec![rule.clone()], ..policy.clone() };
            let Some(sides) = self.sides(&alone) else { continue };
            let requests = requests(&alone, &self.resource);
            let found = self.of_rule(&sides, &whole, &requests, &alone);
            if !found.as_ref().is_some_and(Difference::is_about_permit) {
                together.extend(requests.into_iter().take(TOGETHER_MAX));
            }
            worst.extend(found.map(|difference| (Some(at), difference)));
            if self.is_spent() {
                break;
            }
        }
        together.extend(drawn(policy, &self.resource));
        self.of_rules_together(policy, &whole, &together, &mut worst);
        for (at, difference) in worst {
            let rule = at.and_then(|at| policy.rules.get(at));
            self.report(rule, policy, &self.shortest(difference, &whole));
        }
        if self.is_spent() {
            let message = "not every rule was tried under both semantics";
            self.found.push(CUT_SHORT.at(policy.line, message, "divide the policy, or write it shorter"));
        }
    }

    /// A request on which a rule differs alone and the policy differs as a whole; if there is one, about a Permit.
    fn of_rule(&mut self, alone: &Sides, whole: &Sides, requests: &[Values], policy: &Policy) -> Option<Difference> {
        let instants = if is_about_time(policy) { INSTANTS.as_slice() } else { &[NOON] };
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
        let mut causes = 0_usize;
        for difference in differences {
            if causes >= CAUSES_MAX || self.is_spent() {
                return;
            }
            // What the rules that are told of already explain is not looked into.
            let is_told = |at: &usize| {
                worst.get(&Some(*at)).is_some_and(|known| known.is_about_permit() || !difference.is_about_permit())
            };
            let others = (0..policy.rules.len()).filter(|at| !is_told(at)).filter_map(|at| policy.rules.get(at));
            let others = Policy { rules: others.cloned().collect(), ..policy.clone() };
            let explained = self.sides(&others).is_some_and(|sides| sides.differ(&difference.values, NOON).is_none());
            self.work = self.work.saturating_add(whole.work);
            if explained && others.rules.len() < policy.rules.len() {
                continue;
            }
            causes = causes.saturating_add(1);
            let cause = self.cause(policy, &difference);
            match worst.get(&cause) {
                Some(known) if known.is_about_permit() || !difference.is_about_permit() => {}
                _ => drop(worst.insert(cause, difference)),
            }
        }
    }

    /// Position of the rule without which both agree on a request.
    fn cause(&mut self, policy: &Policy, difference: &Difference) -> Option<usize> {
        for at in 0..policy.rules.len() {
            let mut without = policy.clone();
            without.rules.remove(at);
            let sides = self.sides(&without)?;
            self.work = self.work.saturating_add(sides.work);
            if sides.differ(&difference.values, difference.instant).is_none() {
                return Some(at);
            }
            if self.is_spent() {
                return None;
            }
        }
        None
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
