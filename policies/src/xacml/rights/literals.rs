//! The actions and packages that a policy names, whatever it does with them: in targets and in conditions.

use std::collections::{BTreeMap, BTreeSet};

use super::project::matches;
use super::vocabulary::{Known, Resource, TextComparison, literal, spellings};
use crate::id::{AccessPackage, ActionId};
use crate::xacml::Semantics;
use crate::xacml::ast::{Attribute, Designator, Expression, Literal, Policy};

/// Attributes and literals that an expression brings together.
#[derive(Debug)]
pub(crate) struct Together<'a> {
    pub(crate) expression: &'a Expression,
    pub(crate) designators: Vec<&'a Designator>,
    pub(crate) literals: Vec<&'a Literal>,
}

/// Every action that is named.
pub(super) fn actions(policy: &Policy, semantics: Semantics) -> BTreeSet<ActionId> {
    let named = named(policy, semantics, Known::Action);
    named.into_iter().filter_map(|(text, _)| ActionId::parse(text).ok()).collect()
}

/// Every package that is named for the subject.
pub(super) fn packages(policy: &Policy, semantics: Semantics) -> BTreeSet<AccessPackage> {
    let named = named(policy, semantics, Known::Packages);
    named.into_iter().flat_map(|(text, comparison)| spellings(text, comparison, semantics)).collect()
}

/// Texts that are compared with an attribute, and how: ignoring case where that is not known.
fn named<'a>(policy: &'a Policy, semantics: Semantics, wanted: Known<'_>) -> Vec<(&'a str, TextComparison)> {
    let anywhere = Resource::any();
    let is_wanted = |designator: &Designator| Known::of(designator, &anywhere, semantics) == wanted;
    let in_targets = policy.rules.iter().flat_map(|rule| matches(&rule.target)).filter_map(|one| {
        let found = matches!(&one.attribute, Attribute::Designator(designator) if is_wanted(designator));
        let comparison = TextComparison::of(&one.function).unwrap_or(TextComparison::IgnoringCase);
        found.then(|| literal(one))?.map(|text| (text, comparison))
    });
    let conditions = compared(policy);
    let in_conditions = conditions
        .into_iter()
        .filter(|together| together.designators.iter().any(|designator| is_wanted(designator)))
        .flat_map(|together| together.literals)
        .map(|literal| (literal.text.as_str(), TextComparison::IgnoringCase));
    in_targets.chain(in_conditions).collect()
}

/// What conditions bring together, one for each function that is not logical.
pub(crate) fn compared(policy: &Policy) -> Vec<Together<'_>> {
    let variables = variables(policy);
    let mut found = Vec::new();
    let mut waiting: Vec<&Expression> = policy.rules.iter().filter_map(|rule| rule.condition.as_ref()).collect();
    let mut seen = BTreeSet::new();
    while let Some(expression) = waiting.pop() {
        match expression {
            Expression::Apply(apply) if is_logical(&apply.function) => waiting.extend(&apply.arguments),
            Expression::Apply(_) => found.push(Together::with(expression, &variables)),
            Expression::Variable(variable) if seen.insert(variable.id.as_str()) => {
                waiting.extend(variables.get(variable.id.as_str()).copied());
            }
            _ => {}
        }
    }
    found
}

fn variables(policy: &Policy) -> BTreeMap<&str, &Expression> {
    policy.variables.iter().map(|variable| (variable.id.as_str(), &variable.expression)).collect()
}

impl<'a> Together<'a> {
    /// All that stands in an expression of a policy, and in the variables that it uses.
    pub(crate) fn of(expression: &'a Expression, policy: &'a Policy) -> Self {
        Self::with(expression, &variables(policy))
    }

    fn with(expression: &'a Expression, variables: &BTreeMap<&str, &'a Expression>) -> Self {
        let mut together = Self { expression, designators: Vec::new(), literals: Vec::new() };
        let mut waiting = vec![expression];
        let mut seen = BTreeSet::new();
        while let Some(expression) = waiting.pop() {
            match expression {
                Expression::Apply(apply) => waiting.extend(&apply.arguments),
                Expression::Literal(literal) => together.literals.push(literal),
                Expression::Attribute(Attribute::Designator(designator)) => together.designators.push(designator),
                Expression::Variable(variable) if seen.insert(variable.id.as_str()) => {
                    waiting.extend(variables.get(variable.id.as_str()).copied());
                }
                _ => {}
            }
        }
        together
    }
}

/// Whether a function joins truths and compares nothing.
fn is_logical(function: &str) -> bool {
    matches!(function.rsplit(':').next(), Some("and" | "or" | "not" | "n-of"))
}
