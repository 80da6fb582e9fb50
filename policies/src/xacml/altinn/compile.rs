//! A policy's tree to what decides as Altinn's engine does. What its reader refuses is refused.

use std::collections::BTreeMap;

use super::{
    Alternatives, AltinnLiteral, AltinnMatch, AltinnPolicy, AltinnRule, AttributeName, Comparison, Condition, Read,
};
use crate::urn;
use crate::xacml::PolicyError;
use crate::xacml::ast::{
    AllOf, AnyOf, Attribute, Effect, Expression, Literal, Match, NoticeKind, Policy, PolicyDocument, PolicyElement,
    Rule,
};
use crate::xacml::combine::Algorithm;
use crate::xacml::functions::Function;
use crate::xacml::program::position;
use crate::xacml::response::{Assignment, Notice};
use crate::xacml::value::DataType;

/// Attributes that rules speak of.
#[derive(Default)]
pub(super) struct Names {
    names: Vec<AttributeName>,
    positions: BTreeMap<AttributeName, u32>,
}

/// Compiles a policy.
pub(crate) fn compile(document: &PolicyDocument) -> Result<AltinnPolicy, PolicyError> {
    let policy = match &document.root {
        PolicyElement::Policy(policy) => policy,
        PolicyElement::PolicySet(set) => {
            return Err(PolicyError {
                file: document.file.clone(),
                line: set.line,
                code: "feature_unsupported",
                message: "Altinn does not read policy sets".to_owned(),
                cure: "write one `Policy`",
            });
        }
    };
    check_expressions(document, policy)?;
    let mut names = Names::default();
    let rules = policy.rules.iter().map(|rule| compile_rule(rule, &mut names)).collect();
    Ok(AltinnPolicy {
        algorithm: algorithm(&policy.algorithm),
        obligations: obligations(policy),
        attributes: names.names,
        rules,
        ..AltinnPolicy::default()
    })
}

/// Refuses what its reader stops at inside an `Apply`.
fn check_expressions(document: &PolicyDocument, policy: &Policy) -> Result<(), PolicyError> {
    let notices = policy.rules.iter().flat_map(|rule| &rule.notices).chain(&policy.notices);
    let assigned = notices.flat_map(|notice| &notice.assignments).map(|one| &one.expression);
    let defined = policy.variables.iter().map(|variable| &variable.expression);
    let conditions = policy.rules.iter().filter_map(|rule| rule.condition.as_ref());
    let mut waiting: Vec<_> = conditions.chain(assigned).chain(defined).collect();
    while let Some(expression) = waiting.pop() {
        let Expression::Apply(apply) = expression else { continue };
        let variable = apply.arguments.iter().find(|argument| matches!(argument, Expression::Variable(_)));
        let found = match (apply.description, variable) {
            (Some(line), _) => Some((line, "Description")),
            (None, variable) => variable.map(|variable| (variable.line(), "VariableReference")),
        };
        if let Some((line, name)) = found {
            return Err(PolicyError {
                file: document.file.clone(),
                line,
                code: "feature_unsupported",
                message: format!("Altinn does not read a `{name}` inside an `Apply`"),
                cure: "remove it, or write what it stands for",
            });
        }
        waiting.extend(&apply.arguments);
    }
    Ok(())
}

impl Names {
    /// Position of an attribute.
    pub(super) fn position(&mut self, category: &str, id: &str) -> u32 {
        let name = AttributeName { category: category.into(), id: id.into() };
        let next = position(self.names.len());
        *self.positions.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            next
        })
    }
}

impl AltinnLiteral {
    pub(super) fn of(literal: &Literal) -> Self {
        Self { data_type: literal.data_type.as_str().into(), text: literal.text.as_str().into(), read: Read::Not }
    }
}

impl Comparison {
    /// The comparison that a function stands for.
    pub(super) fn of(uri: &str) -> Self {
        match Function::from_uri(uri) {
            // Asked of every value alone, being in a bag is equality.
            Some(Function::Equal(DataType::String) | Function::IsIn(DataType::String)) => Self::Text,
            Some(Function::EqualIgnoreCase) => Self::TextIgnoringCase,
            Some(Function::OneAndOnly(DataType::Integer)) => Self::Typed(DataType::Integer),
            Some(Function::Equal(
                kind @ (DataType::AnyUri | DataType::Integer | DataType::Time | DataType::Date | DataType::DateTime),
            )) => Self::Typed(kind),
            Some(Function::RegexpMatch(DataType::String)) => Self::Pattern,
            _ => Self::Unknown,
        }
    }
}

fn compile_rule(rule: &Rule, names: &mut Names) -> AltinnRule {
    AltinnRule {
        effect: rule.effect,
        subject: alternatives(rule, urn::CATEGORY_SUBJECT, names),
        resource: alternatives(rule, urn::CATEGORY_RESOURCE, names),
        action: alternatives(rule, urn::CATEGORY_ACTION, names),
        condition: rule.condition.as_ref().map(|condition| Condition::of(condition, names)),
    }
}

/// The parts of a target that speak of a category.
fn alternatives(rule: &Rule, category: &str, names: &mut Names) -> Alternatives {
    let all_ofs = rule.target.0.iter().flat_map(|AnyOf(all_ofs)| all_ofs);
    let mut of_category = |AllOf(matches): &AllOf| -> Vec<_> {
        matches.iter().filter_map(|one| compile_match(one, category, names)).collect()
    };
    Alternatives(all_ofs.map(&mut of_category).filter(|matches| !matches.is_empty()).collect())
}

/// A match of this category. A selector is met with the resource, which of every rule is looked at first.
fn compile_match(one: &Match, category: &str, names: &mut Names) -> Option<AltinnMatch> {
    let literal = AltinnLiteral::of(&one.literal);
    match &one.attribute {
        Attribute::Designator(designator) if designator.category == category => Some(AltinnMatch {
            comparison: Comparison::of(&one.function),
            attribute: names.position(category, &designator.id),
            literal,
            must_be_present: designator.must_be_present,
        }),
        Attribute::Selector(_) if category == urn::CATEGORY_RESOURCE => Some(AltinnMatch {
            comparison: Comparison::Selector,
            attribute: names.position(category, ""),
            literal,
            must_be_present: false,
        }),
        _ => None,
    }
}

/// Altinn takes the algorithms of policy sets for those of rules, and knows none of the older ones.
fn algorithm(uri: &str) -> Option<Algorithm> {
    let found = Algorithm::from_uri(uri, false).or_else(|| Algorithm::from_uri(uri, true))?;
    found.is_known_to_altinn().then_some(found)
}

/// The policy's obligations on Permit, with the assignments that are literals.
fn obligations(policy: &Policy) -> Vec<Notice> {
    let on_permit =
        policy.notices.iter().filter(|notice| notice.kind == NoticeKind::Obligation && notice.effect == Effect::Permit);
    on_permit
        .map(|notice| {
            let assignments = notice.assignments.iter().filter_map(|one| match &one.expression {
                Expression::Literal(literal) => Some(Assignment {
                    id: one.id.clone(),
                    category: one.category.clone(),
                    issuer: one.issuer.clone(),
                    data_type: literal.data_type.clone(),
                    value: literal.text.clone(),
                }),
                _ => None,
            });
            Notice { id: notice.id.clone(), assignments: assignments.collect() }
        })
        .collect()
}
