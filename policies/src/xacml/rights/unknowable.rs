//! What a policy asks that a gateway cannot tell it.
//!
//! A gateway gives a policy the packages that the policy names, of those that a system user holds, and of the party its
//! organisation number. A policy that counts packages, or looks at the party otherwise, would be answered differently with
//! all that is known elsewhere: what permits might not, and, worse, what denies might not.

use super::GeneralReason;
use super::literals::{Together, compared};
use super::project::{category_of, matches};
use super::vocabulary::TextComparison;
use crate::urn;
use crate::xacml::Semantics;
use crate::xacml::ast::{Apply, Attribute, Designator, Expression, Match, Policy};

/// What of the party a gateway does not know.
const OF_PARTY: [&str; 4] =
    ["urn:altinn:partyid", "urn:altinn:party:uuid", "urn:altinn:person:identifier-no", "urn:altinn:ssn"];

/// Everything of that kind, in order of lines.
pub(super) fn unknowable(policy: &Policy, semantics: Semantics) -> Vec<GeneralReason> {
    let in_policys_target = matches(&policy.target).filter(|_| semantics == Semantics::Standard);
    let in_targets = policy.rules.iter().flat_map(|rule| matches(&rule.target)).chain(in_policys_target);
    let mut found: Vec<_> = in_targets.filter(|one| is_looked_at(one, semantics)).filter_map(of_match).collect();
    for together in compared(policy) {
        let is_plain = semantics == Semantics::Standard && compares_each(together.expression);
        found.extend(together.designators.into_iter().filter_map(|designator| asks(designator, is_plain)));
    }
    if semantics == Semantics::Standard {
        let of_rules = policy.rules.iter().flat_map(|rule| &rule.notices);
        let assignments = policy.notices.iter().chain(of_rules).flat_map(|notice| &notice.assignments);
        for assignment in assignments {
            let together = Together::of(&assignment.expression, policy);
            found.extend(together.designators.into_iter().filter_map(|designator| asks(designator, false)));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a match counts at all.
fn is_looked_at(one: &Match, semantics: Semantics) -> bool {
    let categories = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];
    semantics == Semantics::Standard || categories.contains(&category_of(one))
}

fn of_match(one: &Match) -> Option<GeneralReason> {
    let Attribute::Designator(designator) = &one.attribute else { return None };
    let is_plain = TextComparison::of(&one.function).is_some() && !designator.must_be_present;
    asks(designator, is_plain)
}

/// What an attribute asks of a gateway that it does not know; `is_plain` if each value is compared with a literal, so that
/// values that no literal names make no difference.
fn asks(designator: &Designator, is_plain: bool) -> Option<GeneralReason> {
    let (line, id) = (designator.line, designator.id.as_str());
    match designator.category.as_str() {
        urn::CATEGORY_SUBJECT if id == urn::ACCESS_PACKAGE && !is_plain => {
            let message = "packages that the policy does not name make a difference";
            Some(GeneralReason { line, code: "access_packages_open", message: message.to_owned() })
        }
        urn::CATEGORY_RESOURCE if OF_PARTY.contains(&id) => {
            let message = format!("a gateway does not know `{id}`");
            Some(GeneralReason { line, code: "party_attribute_unknown", message })
        }
        _ => None,
    }
}

/// Whether an expression does no more than compare each value of an attribute with literals.
fn compares_each(expression: &Expression) -> bool {
    let Expression::Apply(apply) = expression else { return false };
    let is_bag = |argument: &Expression| match argument {
        Expression::Apply(inner) => is(inner, "string-bag") && inner.arguments.iter().all(is_literal),
        _ => false,
    };
    match apply.arguments.as_slice() {
        [value, attribute] if is(apply, "string-is-in") => is_literal(value) && is_attribute(attribute),
        [one, other] if is(apply, "string-at-least-one-member-of") => {
            (is_bag(one) && is_attribute(other)) || (is_attribute(one) && is_bag(other))
        }
        [Expression::Function(function), value, attribute] if is(apply, "any-of") => {
            TextComparison::of(&function.id).is_some() && is_literal(value) && is_attribute(attribute)
        }
        _ => false,
    }
}

fn is(apply: &Apply, name: &str) -> bool {
    apply.function.rsplit(':').next() == Some(name)
}

fn is_literal(expression: &Expression) -> bool {
    matches!(expression, Expression::Literal(_))
}

fn is_attribute(expression: &Expression) -> bool {
    matches!(expression, Expression::Attribute(Attribute::Designator(designator)) if !designator.must_be_present)
}
