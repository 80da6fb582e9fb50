//! Findings in a policy as a whole.

use std::collections::BTreeSet;

use super::attributes::named;
use super::rules::resources;
use super::{Finding, FindingCode, Severity, is_dead};
use crate::id::ResourceId;
use crate::urn;
use crate::xacml::Semantics;
use crate::xacml::ast::{AssignmentExpression, Effect, Expression, NoticeKind, Policy, PolicySet};
use crate::xacml::rights::{ProjectedRule, algorithm, matches};
use crate::xacml::validity::{check_rule, is_app_of};

const POLICY_SET: FindingCode =
    FindingCode::new("policy_set", Severity::Error, "a resource has one policy, and Altinn does not read policy sets");
const RESOURCE_OTHER: FindingCode = FindingCode::new(
    "resource_other",
    Severity::Error,
    "the Resource Registry refuses a policy with rules for another resource",
);
const RESOURCE_MISSING: FindingCode = FindingCode::new(
    "resource_missing",
    Severity::Error,
    "the Resource Registry refuses a policy with rules that do not name the resource",
);
const ALGORITHM_UNKNOWN: FindingCode = FindingCode::new(
    "algorithm_unknown_to_altinn",
    Severity::Error,
    "Altinn answers every request with Indeterminate, so the policy permits nothing",
);
const ALGORITHM_DECIDES: FindingCode = FindingCode::new(
    "algorithm_decides_alone",
    Severity::Warning,
    "it decides where no subject matches, so delegations are not looked at",
);
const TARGET_IGNORED: FindingCode = FindingCode::new(
    "policy_target_ignored_by_altinn",
    Severity::Warning,
    "Altinn does not look at the policy's own target: its rules are for more requests there than in the standard",
);
const DENY_OBLIGATION_IGNORED: FindingCode = FindingCode::new(
    "policy_notice_ignored_by_altinn",
    Severity::Warning,
    "Altinn returns a policy's obligations on Permit and no others",
);
const NO_LEVEL: FindingCode = FindingCode::new(
    "authentication_level_missing",
    Severity::Warning,
    "without `urn:altinn:minimum-authenticationlevel` a caller is let in however weakly they logged in",
);
const OBLIGATION_UNKNOWN: FindingCode = FindingCode::new(
    "obligation_unknown",
    Severity::Warning,
    "who enforces a decision must refuse where an obligation is not understood: a gateway refuses every call",
);
const LEVEL_INVALID: FindingCode = FindingCode::new(
    "obligation_level",
    Severity::Error,
    "an authentication level is a number from 0 to 4; nobody reaches another one, and gateways refuse the policy",
);
const NEEDS_DELEGATION: FindingCode = FindingCode::new(
    "nothing_without_delegation",
    Severity::Note,
    "no rule names an access package, so a system user has nothing here until each right is delegated to it",
);
const APP_BY_ID: FindingCode = FindingCode::new(
    "app_named_by_resource_id",
    Severity::Note,
    "requests for an app name its owner and the app; only what completes them, as Altinn does, finds the resource's id in them",
);
const RESOURCE_UNNAMED: FindingCode = FindingCode::new(
    "resource_unclear",
    Severity::Warning,
    "a policy is for one resource; what its rules mean for another cannot be told",
);
const NO_RULES: FindingCode =
    FindingCode::new("policy_without_rules", Severity::Error, "it permits nothing, and gateways refuse it");

pub(super) const CODES: &[FindingCode] = &[
    POLICY_SET,
    RESOURCE_OTHER,
    RESOURCE_MISSING,
    ALGORITHM_UNKNOWN,
    ALGORITHM_DECIDES,
    TARGET_IGNORED,
    DENY_OBLIGATION_IGNORED,
    NO_LEVEL,
    OBLIGATION_UNKNOWN,
    LEVEL_INVALID,
    NEEDS_DELEGATION,
    APP_BY_ID,
    RESOURCE_UNNAMED,
    NO_RULES,
];

/// Highest authentication level.
const LEVEL_MAX: u8 = 4;

pub(super) fn is_set(set: &PolicySet) -> Finding {
    POLICY_SET.at(set.line, format!("`{}` is a policy set", set.id), "write one `Policy`")
}

/// What is to be said of a policy.
pub(super) fn findings(
    policy: &Policy,
    resource: Option<&ResourceId>,
    projected: &[ProjectedRule],
    is_delegation: bool,
) -> Vec<Finding> {
    let mut found = of_resource(policy, resource, is_delegation);
    if policy.rules.is_empty() {
        found.push(NO_RULES.at(policy.line, "the policy has no rule", "write one"));
    }
    of_algorithm(policy, &mut found);
    if let Some(first) = matches(&policy.target).next() {
        let fix = "leave it empty, and put what it says into the rules";
        found.push(TARGET_IGNORED.at(first.line, "the policy has a target of its own", fix));
    }
    of_obligations(policy, is_delegation, &mut found);
    if all_dead(projected) && !is_delegation {
        let fix =
            "if system users are to have rights by a package, name it (`urn:altinn:accesspackage`) in a rule's subject";
        found.push(NEEDS_DELEGATION.at(policy.line, "the policy gives system users nothing by itself", fix));
    }
    found
}

/// Whether no rule gives system users anything.
pub(super) fn all_dead(projected: &[ProjectedRule]) -> bool {
    !projected.is_empty() && projected.iter().all(is_dead)
}

fn of_algorithm(policy: &Policy, found: &mut Vec<Finding>) {
    let uri = &policy.algorithm;
    if algorithm(uri, Semantics::Altinn).is_none() {
        let message = format!("`{uri}`");
        found.push(ALGORITHM_UNKNOWN.at(policy.line, message, format!("write `{}`", urn::RULE_DENY_OVERRIDES)));
    }
    let name = uri.rsplit(':').next().unwrap_or_default();
    if ["deny-unless-permit", "permit-unless-deny"].contains(&name) {
        let message = format!("`{name}` answers Permit or Deny to everything");
        found.push(ALGORITHM_DECIDES.at(policy.line, message, format!("write `{}`", urn::RULE_DENY_OVERRIDES)));
    }
}

fn of_resource(policy: &Policy, resource: Option<&ResourceId>, is_delegation: bool) -> Vec<Finding> {
    let Some(resource) = resource else {
        let all: BTreeSet<_> = policy.rules.iter().flat_map(resources).collect();
        let message = if all.is_empty() {
            "no resource is named that the policy could be for".to_owned()
        } else {
            format!("the rules name {} resources", all.len())
        };
        let fix = format!("name the one resource by `{}` in every rule", urn::RESOURCE);
        let unclear = RESOURCE_UNNAMED.at(policy.line, message, fix);
        // A placeholder is told of where it stands.
        let is_template = all.iter().any(|name| name.contains(['[', '{']))
            || policy
                .rules
                .iter()
                .any(|rule| named(rule, urn::CATEGORY_RESOURCE, urn::APP).any(|app| app.contains(['[', '{'])));
        return if policy.rules.is_empty() || is_template { Vec::new() } else { vec![unclear] };
    };
    let mut found = Vec::new();
    for rule in &policy.rules {
        if let Err(wrong) = check_rule(rule, resource) {
            let code = if wrong.code == "resource_other" { RESOURCE_OTHER } else { RESOURCE_MISSING };
            found.push(code.at(wrong.line, wrong.message, wrong.cure));
        }
    }
    let is_app = resource.as_str().starts_with("app_");
    let by_id = policy.rules.iter().find(|rule| !is_app_of(rule, resource) && !resources(rule).is_empty());
    if let (true, false, Some(rule)) = (is_app, is_delegation, by_id) {
        let message = format!("rule `{}` names the app by `{}` only", rule.id, urn::RESOURCE);
        found.push(APP_BY_ID.at(
            rule.line,
            message,
            "name it by `urn:altinn:org` and `urn:altinn:app`, too, if requests may come uncompleted",
        ));
    }
    found
}

fn of_obligations(policy: &Policy, is_delegation: bool, found: &mut Vec<Finding>) {
    let mut has_level = false;
    for notice in &policy.notices {
        if notice.kind == NoticeKind::Advice || notice.effect == Effect::Deny {
            let message = format!("`{}`", notice.id);
            found.push(DENY_OBLIGATION_IGNORED.at(
                notice.line,
                message,
                "make it an obligation on Permit, or leave it out",
            ));
            continue;
        }
        let levels = notice.assignments.iter().filter(|one| is_of(one, urn::MINIMUM_AUTHENTICATION_LEVEL));
        for assignment in levels {
            has_level = true;
            let Expression::Literal(literal) = &assignment.expression else { continue };
            if !literal.text.trim().parse::<u8>().is_ok_and(|level| level <= LEVEL_MAX) {
                let message = format!("`{}` is no authentication level", literal.text.trim());
                found.push(LEVEL_INVALID.at(literal.line, message, "write a number from 0 to 4"));
            }
        }
        let is_known = |one: &AssignmentExpression| {
            is_of(one, urn::MINIMUM_AUTHENTICATION_LEVEL) || is_of(one, urn::MINIMUM_AUTHENTICATION_LEVEL_ORG)
        };
        if notice.assignments.is_empty() || !notice.assignments.iter().all(is_known) {
            let message = format!("gateways do not know the obligation `{}`", notice.id);
            found.push(OBLIGATION_UNKNOWN.at(notice.line, message, "leave it out, or have it as advice"));
        }
    }
    if !has_level && !is_delegation && !policy.rules.is_empty() {
        let message = "no minimum authentication level is demanded";
        let fix = "add the obligation `urn:altinn:minimum-authenticationlevel` on Permit, for example with level 3";
        found.push(NO_LEVEL.at(policy.line, message, fix));
    }
}

fn is_of(assignment: &AssignmentExpression, category: &str) -> bool {
    assignment.category.as_deref() == Some(category)
}
