//! Policies as Altinn's engine reads them, where it departs from the standard.
//!
//! Of a rule's target every category stands alone: all `AllOf` that speak of it, in whichever `AnyOf`, are alternatives. The
//! policy's own target, the environment, issuers and advice are not looked at; obligations are the policy's, on Permit.
//! Values are compared as text with equal data types. What Altinn's engine answers with Indeterminate (functions and
//! algorithms that it does not know, conditions of other shapes) is Indeterminate here, too; what its reader refuses is
//! refused. Which attributes of the subject a decision needs is told by [`AltinnPolicy::subject_attributes`], for
//! [`super::context`].

mod condition;

use std::collections::BTreeSet;

use super::PolicyError;
use super::ast::{
    AllOf, AnyOf, Attribute, Effect, Expression, Match, NoticeKind, Policy, PolicyDocument, PolicyElement, Rule,
};
use super::combine::{Algorithm, Combiner, Extended};
use super::evaluate::Failure;
use super::functions::{Fuel, Function};
use super::request::{Category, RequestValue};
use super::response::{Assignment, Decision, DecisionResult, MissingAttribute, Notice, StatusCode};
use super::value::{DataType, Value};
use crate::urn;
use condition::Condition;

/// A policy, ready to decide as Altinn does.
#[derive(Debug, Clone)]
pub(crate) struct AltinnPolicy {
    /// None if Altinn's engine does not know it.
    algorithm: Option<Algorithm>,
    rules: Vec<AltinnRule>,
    obligations: Vec<Notice>,
    subject_attributes: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct AltinnRule {
    effect: Effect,
    subject: Alternatives,
    resource: Alternatives,
    action: Alternatives,
    condition: Option<Condition>,
}

/// One must hold; none at all holds, too.
#[derive(Debug, Clone, Default)]
struct Alternatives(Vec<Vec<AltinnMatch>>);

#[derive(Debug, Clone)]
struct AltinnMatch {
    function: Comparison,
    attribute: String,
    literal: RequestValue,
    must_be_present: bool,
}

/// How Altinn compares a literal with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Text,
    TextIgnoringCase,
    /// As values of a type; what cannot be read as one is an error.
    Typed(DataType),
    /// The literal is a pattern.
    Pattern,
    Unknown,
}

/// Whether a category of a rule matches.
enum Matching {
    Yes,
    No,
    Missing(MissingAttribute),
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
    let rules: Vec<_> = policy.rules.iter().map(compile_rule).collect();
    let subjects = rules.iter().flat_map(|rule| rule.subject.0.iter().flatten());
    Ok(AltinnPolicy {
        algorithm: algorithm(&policy.algorithm),
        obligations: obligations(policy),
        subject_attributes: subjects.map(|one| one.attribute.clone()).collect(),
        rules,
    })
}

impl AltinnPolicy {
    /// Attributes of the subject that some rule's target names.
    pub(crate) fn subject_attributes(&self) -> &BTreeSet<String> {
        &self.subject_attributes
    }

    /// What goes with a Permit.
    pub(crate) fn obligations(&self) -> &[Notice] {
        &self.obligations
    }

    /// Decides.
    pub(crate) fn decide(&self, categories: &[&Category], fuel_max: u64) -> DecisionResult {
        let mut fuel = Fuel::new(fuel_max);
        match self.evaluate(categories, &mut fuel) {
            Ok((decision, any_kept)) => {
                let mut result = DecisionResult::plain(decision.decision());
                if decision == Extended::Permit {
                    result.obligations.clone_from(&self.obligations);
                }
                if any_kept {
                    result.categories = super::to_repeat(categories);
                }
                result
            }
            Err(failure) => {
                let mut result = DecisionResult::indeterminate(failure.code, failure.message);
                result.status.missing = failure.missing;
                result
            }
        }
    }

    /// The decision, and whether some rule is about this resource and action. Every Indeterminate is a failure.
    fn evaluate(&self, categories: &[&Category], fuel: &mut Fuel) -> Result<(Extended, bool), Failure> {
        let mut kept = Vec::new();
        for rule in &self.rules {
            let mut all = true;
            for (category, of_rule) in [(urn::CATEGORY_RESOURCE, &rule.resource), (urn::CATEGORY_ACTION, &rule.action)]
            {
                match of_rule.matching(category, categories, fuel)? {
                    Matching::Yes => {}
                    Matching::No => all = false,
                    Matching::Missing(missing) => return Err(missing_attribute(missing)),
                }
            }
            if all {
                kept.push(rule);
            }
        }
        let algorithm =
            self.algorithm.ok_or_else(|| Failure::processing("Altinn does not know the combining algorithm"))?;
        let mut combiner = Combiner::new(algorithm);
        let mut failure = None;
        for rule in &kept {
            let effect = Extended::from(rule.effect);
            let subject = rule.subject.matching(urn::CATEGORY_SUBJECT, categories, fuel)?;
            let held = match (subject, &rule.condition) {
                (Matching::No, _) => Ok(false),
                (Matching::Missing(missing), _) => Err(missing_attribute(missing)),
                (Matching::Yes, None) => Ok(true),
                (Matching::Yes, Some(condition)) => match condition.holds(categories, fuel) {
                    // What its engine throws ends the whole decision.
                    Err(failure) if failure.code == StatusCode::SyntaxError => return Err(failure),
                    held => held,
                },
            };
            combiner.add(match held {
                Ok(true) => effect,
                Ok(false) => Extended::NotApplicable,
                Err(error) => {
                    failure = failure.or(Some(error));
                    effect.if_uncertain()
                }
            });
            if combiner.is_decided() {
                break;
            }
        }
        let decision = combiner.finish();
        match failure {
            Some(failure) if decision.decision() == Decision::Indeterminate => Err(failure),
            _ => Ok((decision, !kept.is_empty())),
        }
    }
}

impl Alternatives {
    /// The parts of a target that speak of a category.
    fn of(rule: &Rule, category: &str) -> Self {
        let all_ofs = rule.target.0.iter().flat_map(|AnyOf(all_ofs)| all_ofs);
        let of_category =
            all_ofs.map(|AllOf(matches)| matches.iter().filter_map(|one| compile_match(one, category)).collect());
        Self(of_category.filter(|matches: &Vec<_>| !matches.is_empty()).collect())
    }

    /// A required attribute that is missing counts over a match before it, and a match over a missing one before it.
    fn matching(&self, category: &str, categories: &[&Category], fuel: &mut Fuel) -> Result<Matching, Failure> {
        let mut found = if self.0.is_empty() { Matching::Yes } else { Matching::No };
        for alternative in &self.0 {
            let (mut all, mut missing) = (true, None);
            for one in alternative {
                fuel.pay(
                    u64::try_from(categories.iter().map(|one| one.attributes.len()).sum::<usize>()).unwrap_or(u64::MAX),
                )?;
                let values: Vec<_> = values_of(categories, category, &one.attribute).collect();
                if values.is_empty() && one.must_be_present {
                    missing = Some(MissingAttribute {
                        category: category.to_owned(),
                        id: one.attribute.clone(),
                        data_type: one.literal.data_type.clone(),
                        issuer: None,
                    });
                }
                let mut any = false;
                for value in values {
                    any |= one.function.holds(&one.literal, value, fuel)?;
                }
                all &= any;
            }
            match missing {
                Some(missing) => found = Matching::Missing(missing),
                None if all => found = Matching::Yes,
                None => {}
            }
        }
        Ok(found)
    }
}

impl Comparison {
    /// The comparison that a function stands for in a target.
    pub(crate) fn of_match(uri: &str) -> Self {
        match uri {
            "urn:oasis:names:tc:xacml:1.0:function:string-is-in" => Self::Text,
            "urn:oasis:names:tc:xacml:1.0:function:integer-one-and-only" => Self::Typed(DataType::Integer),
            _ => Self::of_function(uri),
        }
    }

    /// The comparison that a function stands for anywhere.
    pub(crate) fn of_function(uri: &str) -> Self {
        match Function::from_uri(uri) {
            Some(Function::Equal(DataType::String)) => Self::Text,
            Some(Function::EqualIgnoreCase) => Self::TextIgnoringCase,
            Some(Function::Equal(
                kind @ (DataType::AnyUri | DataType::Integer | DataType::Time | DataType::Date | DataType::DateTime),
            )) => Self::Typed(kind),
            Some(Function::RegexpMatch(DataType::String)) => Self::Pattern,
            _ => Self::Unknown,
        }
    }

    /// Whether it holds. Values whose type is not the literal's are never equal.
    pub(crate) fn holds(self, literal: &RequestValue, value: &RequestValue, fuel: &mut Fuel) -> Result<bool, Failure> {
        fuel.pay(1)?;
        if self == Self::Unknown {
            return Err(Failure::syntax("a function that Altinn does not know"));
        }
        if literal.data_type != value.data_type {
            return Ok(false);
        }
        Ok(match self {
            Self::Text => literal.text == value.text,
            Self::TextIgnoringCase => {
                // As .NET folds with `OrdinalIgnoreCase`: letter by letter, beyond ASCII too.
                fold(&literal.text).eq(fold(&value.text))
            }
            Self::Typed(data_type) => {
                let read = |text| Value::parse(data_type, text).map_err(|error| Failure::syntax(error.to_string()));
                read(&literal.text)?.equals(&read(&value.text)?)
            }
            Self::Pattern => super::functions::is_match(&literal.text, &value.text, fuel)?,
            Self::Unknown => false,
        })
    }
}

fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| {
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => letter,
        }
    })
}

/// Values of an attribute, of whichever issuer and type.
pub(crate) fn values_of<'a>(
    categories: &'a [&Category],
    category: &'a str,
    id: &'a str,
) -> impl Iterator<Item = &'a RequestValue> {
    let of_category = categories.iter().filter(move |one| one.category == category);
    of_category.flat_map(|one| &one.attributes).filter(move |attribute| attribute.id == id).flat_map(|one| &one.values)
}

fn compile_rule(rule: &Rule) -> AltinnRule {
    AltinnRule {
        effect: rule.effect,
        subject: Alternatives::of(rule, urn::CATEGORY_SUBJECT),
        resource: Alternatives::of(rule, urn::CATEGORY_RESOURCE),
        action: Alternatives::of(rule, urn::CATEGORY_ACTION),
        condition: rule.condition.as_ref().map(Condition::of),
    }
}

/// A match of this category. A selector never finds anything.
fn compile_match(one: &Match, category: &str) -> Option<AltinnMatch> {
    let literal = RequestValue { data_type: one.literal.data_type.clone(), text: one.literal.text.trim().to_owned() };
    match &one.attribute {
        Attribute::Designator(designator) if designator.category == category => Some(AltinnMatch {
            function: Comparison::of_match(&one.function),
            attribute: designator.id.clone(),
            literal,
            must_be_present: designator.must_be_present,
        }),
        Attribute::Selector(selector) if selector.category == category => {
            Some(AltinnMatch { function: Comparison::Text, attribute: String::new(), literal, must_be_present: false })
        }
        _ => None,
    }
}

/// Altinn takes the algorithms of policy sets for those of rules, and knows none of the older ones.
fn algorithm(uri: &str) -> Option<Algorithm> {
    let found = Algorithm::from_uri(uri, false).or_else(|| Algorithm::from_uri(uri, true))?;
    match found {
        Algorithm::DenyOverrides
        | Algorithm::PermitOverrides
        | Algorithm::DenyUnlessPermit
        | Algorithm::PermitUnlessDeny
        | Algorithm::FirstApplicable => Some(found),
        _ => None,
    }
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
                    value: literal.text.trim().to_owned(),
                }),
                _ => None,
            });
            Notice { id: notice.id.clone(), assignments: assignments.collect() }
        })
        .collect()
}

pub(crate) fn missing_attribute(missing: MissingAttribute) -> Failure {
    Failure {
        code: StatusCode::MissingAttribute,
        message: format!("attribute `{}` of `{}` is missing", missing.id, missing.category),
        missing: Some(Box::new(missing)),
    }
}

#[cfg(test)]
mod tests;
