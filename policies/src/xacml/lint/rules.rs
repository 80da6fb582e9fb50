//! Findings in a rule as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::{END_EVENT, TASK, named};
use super::{Finding, FindingCode, Severity, category_name, designator, is_dead};
use crate::urn;
use crate::xacml::ast::{AllOf, AnyOf, Attribute, Effect, Match, NoticeKind, Policy, Rule};
use crate::xacml::rights::{ProjectedRule, category_of, matches};

const ANY_OF_TWICE: FindingCode = FindingCode::new(
    "any_of_twice",
    Severity::Warning,
    "the standard demands a match in every `AnyOf`, Altinn one in any of those of a category; Access Management reads only the last",
);
const ALL_OF_MIXED: FindingCode = FindingCode::new(
    "all_of_mixes_categories",
    Severity::Warning,
    "Altinn takes an `AllOf` apart by category and permits every combination; Access Management cannot list such rights",
);
const ACTION_CONJUNCTION: FindingCode = FindingCode::new(
    "action_conjunction",
    Severity::Warning,
    "a request is for one action, so a match of two never holds",
);
const RULE_DENIES: FindingCode = FindingCode::new(
    "rule_denies",
    Severity::Warning,
    "a Deny wins over every Permit under deny-overrides, wherever it stands, and ends the decision before delegations; policies of Altinn only permit",
);
const INSTANCE_STATE: FindingCode = FindingCode::new(
    "depends_on_instance_state",
    Severity::Note,
    "a gateway does not know the state of an app's instance, so what depends on it permits no call there",
);
const EVERY_SUBJECT: FindingCode = FindingCode::new(
    "rule_for_every_subject",
    Severity::Warning,
    "without a subject in its target a rule permits whoever asks",
);
const EVERY_ACTION: FindingCode = FindingCode::new(
    "rule_for_every_action",
    Severity::Warning,
    "without an action in its target a rule permits whatever is asked for, and no right can be delegated by it",
);
const NOTICE_IGNORED: FindingCode = FindingCode::new(
    "notice_ignored_by_altinn",
    Severity::Warning,
    "Altinn returns a policy's obligations on Permit and no others: not those of rules, not those of a Deny, no advice",
);
const DEAD: FindingCode = FindingCode::new(
    "rule_dead_for_system_users",
    Severity::Note,
    "a system user has access packages and nothing else: by this rule it gets its actions only by delegation",
);
const REPEATED: FindingCode = FindingCode::new(
    "rule_repeated",
    Severity::Warning,
    "a rule with the same target and effect stands above it: it changes nothing",
);
const ID_TWICE: FindingCode = FindingCode::new(
    "rule_id_twice",
    Severity::Warning,
    "the standard refuses the policy, and explanations and logs cannot tell the two rules apart",
);

pub(super) const CODES: &[FindingCode] = &[
    ANY_OF_TWICE,
    ALL_OF_MIXED,
    ACTION_CONJUNCTION,
    RULE_DENIES,
    INSTANCE_STATE,
    EVERY_SUBJECT,
    EVERY_ACTION,
    NOTICE_IGNORED,
    DEAD,
    REPEATED,
    ID_TWICE,
];

const CATEGORIES: [&str; 3] = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];

/// What is to be said of one rule; whether it is dead for system users only if that is worth telling.
pub(super) fn findings(rule: &Rule, projected: &ProjectedRule, tell_dead: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    shape(rule, &mut found);
    if rule.effect == Effect::Deny {
        let message = format!("rule `{}` denies", rule.id);
        found.push(RULE_DENIES.at(rule.line, message, "leave it out: what no rule permits is refused"));
    }
    let speaks_of = |category| matches(&rule.target).any(|one| category_of(one) == category);
    if rule.effect == Effect::Permit && rule.condition.is_none() {
        if !speaks_of(urn::CATEGORY_SUBJECT) {
            let message = format!("rule `{}` names no subject", rule.id);
            found.push(EVERY_SUBJECT.at(rule.line, message, "say whom it is for"));
        }
        if !speaks_of(urn::CATEGORY_ACTION) {
            let message = format!("rule `{}` names no action", rule.id);
            found.push(EVERY_ACTION.at(rule.line, message, "say which actions it is for"));
        }
    }
    for notice in &rule.notices {
        let kind = if notice.kind == NoticeKind::Obligation { "obligation" } else { "advice" };
        let message = format!("{kind} `{}` of rule `{}`", notice.id, rule.id);
        found.push(NOTICE_IGNORED.at(notice.line, message, "make it an obligation of the policy, on Permit"));
    }
    let of_instance = |one: &&Match| {
        designator(one).is_some_and(|found| {
            found.category == urn::CATEGORY_RESOURCE && [TASK, END_EVENT].contains(&found.id.as_str())
        })
    };
    if let Some(first) = matches(&rule.target).find(of_instance) {
        let states: BTreeSet<_> =
            matches(&rule.target).filter(of_instance).map(|one| one.literal.text.trim()).collect();
        let states: Vec<_> = states.into_iter().map(|state| format!("`{state}`")).collect();
        let message = format!("rule `{}` depends on the state of an instance ({})", rule.id, states.join(", "));
        let fix = "give the actions that a gateway is to decide in a rule without it";
        found.push(INSTANCE_STATE.at(first.literal.line, message, fix));
    }
    if is_dead(projected) && tell_dead {
        let of_subject =
            matches(&rule.target).filter_map(designator).filter(|one| one.category == urn::CATEGORY_SUBJECT);
        let names: BTreeSet<_> = of_subject.map(|one| format!("`{}`", one.id)).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!("rule `{}` can match no system user (its subject: {names})", rule.id);
        let fix = "if system users are to have it by a package, add the package to the subject; otherwise leave it";
        found.push(DEAD.at(rule.line, message, fix));
    }
    found
}

/// Findings in how the target is put together.
fn shape(rule: &Rule, found: &mut Vec<Finding>) {
    for category in CATEGORIES {
        let lines = rule.target.0.iter().filter_map(|any_of| {
            let mut matches = any_of.0.iter().flat_map(|AllOf(matches)| matches);
            matches.find(|one| category_of(one) == category).map(|one| one.literal.line)
        });
        if let Some(line) = lines.skip(1).last() {
            let name = category_name(category);
            let message = format!("rule `{}` has two `AnyOf` about the {name}", rule.id);
            found.push(ANY_OF_TWICE.at(line, message, "write all alternatives in one `AnyOf`"));
        }
    }
    for AllOf(matches) in rule.target.0.iter().flat_map(|AnyOf(all_ofs)| all_ofs) {
        let categories: BTreeSet<_> = matches.iter().map(category_of).collect();
        if let (Some(first), true) = (matches.first(), categories.len() > 1) {
            let names: Vec<_> = categories.into_iter().map(category_name).collect();
            let message = format!("an `AllOf` speaks of {}", names.join(" and "));
            found.push(ALL_OF_MIXED.at(
                first.literal.line,
                message,
                "give each category an `AnyOf` of its own, if need be in several rules",
            ));
        }
        let actions = matches.iter().filter(|one| designator(one).is_some_and(|found| found.id == urn::ACTION_ID));
        let mut names: Vec<_> = actions.map(|one| (one.literal.text.trim().to_lowercase(), one.literal.line)).collect();
        names.dedup_by(|one, other| one.0 == other.0);
        if let Some((_, line)) = names.get(1) {
            let names: Vec<_> = names.iter().map(|(name, _)| format!("`{name}`")).collect();
            let message = format!("an `AllOf` demands the actions {} at once", names.join(" and "));
            found.push(ACTION_CONJUNCTION.at(*line, message, "give each action an `AllOf` of its own"));
        }
    }
}

/// Rules that say what another says, or are called as another is.
pub(super) fn repeated(policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut ids, mut said) = (BTreeMap::new(), BTreeMap::new());
    for rule in &policy.rules {
        if let Some(line) = ids.get(rule.id.as_str()) {
            let message = format!("the rule on line {line} has the id `{}`, too", rule.id);
            found.push(ID_TWICE.at(rule.line, message, "give it an id of its own"));
        } else {
            ids.insert(rule.id.as_str(), rule.line);
        }
        if rule.condition.is_some() || !rule.notices.is_empty() {
            continue;
        }
        if let Some(line) = said.get(&said_by(rule)) {
            let message = format!("rule `{}` says what the rule on line {line} says", rule.id);
            found.push(REPEATED.at(rule.line, message, "remove it, or correct what it was to say"));
        } else {
            said.insert(said_by(rule), rule.line);
        }
    }
    found
}

/// What a rule says: its effect, and its target in one order.
type Said<'a> = (Effect, BTreeSet<BTreeSet<BTreeSet<[&'a str; 7]>>>);

fn said_by(rule: &Rule) -> Said<'_> {
    let any_ofs = rule.target.0.iter().map(|AnyOf(all_ofs)| {
        all_ofs.iter().map(|AllOf(matches)| matches.iter().map(said_by_match).collect()).collect()
    });
    (rule.effect, any_ofs.collect())
}

/// All that tells a match from another, but its place.
fn said_by_match(one: &Match) -> [&str; 7] {
    let (function, data_type, text) =
        (one.function.as_str(), one.literal.data_type.as_str(), one.literal.text.as_str());
    match &one.attribute {
        Attribute::Designator(found) => {
            let required = if found.must_be_present { "required" } else { "" };
            let issuer = found.issuer.as_deref().unwrap_or_default();
            [function, data_type, text, &found.category, &found.id, issuer, required]
        }
        Attribute::Selector(found) => [function, data_type, text, &found.category, &found.path, "", "selector"],
    }
}

/// The resources that a rule names by their ids.
pub(super) fn resources(rule: &Rule) -> BTreeSet<&str> {
    named(rule, urn::CATEGORY_RESOURCE, urn::RESOURCE).collect()
}
