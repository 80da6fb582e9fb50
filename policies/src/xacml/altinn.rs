//! Policies as Altinn's engine reads them, where it departs from the standard.
//!
//! Of a rule's target every category stands alone: all `AllOf` that speak of it, in whichever `AnyOf`, are alternatives. The
//! policy's own target, the environment, issuers and advice are not looked at; obligations are the policy's, on Permit.
//! Values are compared as text with equal data types. What Altinn's engine answers with Indeterminate (functions and
//! algorithms that it does not know, conditions of other shapes) is Indeterminate here, too; what its reader refuses is
//! refused, in [`compile`]. Which attributes of the subject a decision needs is told by
//! [`AltinnPolicy::subject_attributes`], for [`super::context`].

mod compile;
mod condition;
mod texts;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::Effect;
use super::combine::{Algorithm, Combiner, Extended};
use super::evaluate::Failure;
use super::functions::{Fuel, Pattern};
use super::program::at;
use super::request::Category;
use super::response::{Decision, DecisionResult, MissingAttribute, Notice, StatusCode};
use super::value::{DataType, Value};
pub(crate) use compile::compile;
pub(crate) use condition::{Condition, Parts, Takes};
pub(crate) use texts::Texts;
use texts::{Bound, Text};

/// A policy, ready to decide as Altinn does.
#[derive(Debug, Clone, Default)]
pub(crate) struct AltinnPolicy {
    /// None if Altinn's engine does not know it.
    pub(crate) algorithm: Option<Algorithm>,
    /// Attributes that rules speak of, each once.
    pub(crate) attributes: Vec<AttributeName>,
    pub(crate) rules: Vec<AltinnRule>,
    pub(crate) obligations: Vec<Notice>,
    /// Attributes of the subject that some rule's target names.
    pub(crate) subject_attributes: BTreeSet<String>,
}

/// Category and id of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttributeName {
    pub(crate) category: Arc<str>,
    pub(crate) id: Arc<str>,
}

#[derive(Debug, Clone)]
pub(crate) struct AltinnRule {
    pub(crate) effect: Effect,
    pub(crate) subject: Alternatives,
    pub(crate) resource: Alternatives,
    pub(crate) action: Alternatives,
    pub(crate) condition: Option<Condition>,
}

/// One must hold; none at all holds, too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alternatives(pub(crate) Vec<Vec<AltinnMatch>>);

#[derive(Debug, Clone)]
pub(crate) struct AltinnMatch {
    pub(crate) comparison: Comparison,
    /// Position in the policy's attributes.
    pub(crate) attribute: u32,
    pub(crate) literal: AltinnLiteral,
    pub(crate) must_be_present: bool,
}

/// A constant of the policy.
#[derive(Debug, Clone)]
pub(crate) struct AltinnLiteral {
    /// Identifier of its type, as written.
    pub(crate) data_type: Arc<str>,
    pub(crate) text: Arc<str>,
    pub(crate) read: Read,
}

/// What a constant is for its comparison, if it was read when the policy was made ready; if not, it is read when needed.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    Not,
    Value(Value),
    Pattern(Pattern),
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
enum Matching<'a> {
    Yes,
    No,
    Missing(&'a AltinnMatch),
}

/// One decision being made.
struct Evaluation<'a> {
    policy: &'a AltinnPolicy,
    texts: Bound<'a>,
    fuel: Fuel,
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

    /// Decides a request.
    pub(crate) fn decide(&self, categories: &[&Category], fuel_max: u64) -> DecisionResult {
        match self.evaluate(&Texts::of_request(categories), fuel_max) {
            Ok((decision, any_kept)) => {
                let mut result = DecisionResult::plain(decision);
                if decision == Decision::Permit {
                    result.obligations.clone_from(&self.obligations);
                }
                if any_kept {
                    result.categories = super::to_repeat(categories);
                }
                result
            }
            Err(failure) => {
                DecisionResult { status: failure.status(), ..DecisionResult::plain(Decision::Indeterminate) }
            }
        }
    }

    /// The decision, and whether some rule is about this resource and action. Every Indeterminate is a failure.
    pub(crate) fn evaluate<'a>(&'a self, texts: &'a Texts<'a>, fuel_max: u64) -> Result<(Decision, bool), Failure<'a>> {
        let texts = texts.bind(&self.attributes);
        Evaluation { policy: self, texts, fuel: Fuel::new(fuel_max) }.run()
    }
}

impl<'a> Evaluation<'a> {
    fn run(mut self) -> Result<(Decision, bool), Failure<'a>> {
        let policy = self.policy;
        let mut kept = Vec::with_capacity(policy.rules.len());
        for rule in &policy.rules {
            let mut all = true;
            for of_rule in [&rule.resource, &rule.action] {
                match self.matching(of_rule)? {
                    Matching::Yes => {}
                    Matching::No => all = false,
                    Matching::Missing(missing) => return Err(self.missing(missing)),
                }
            }
            if all {
                kept.push(rule);
            }
        }
        let algorithm =
            policy.algorithm.ok_or_else(|| Failure::processing("Altinn does not know the combining algorithm"))?;
        let mut combiner = Combiner::new(algorithm);
        let mut failure = None;
        for rule in &kept {
            let effect = Extended::from(rule.effect);
            let held = match (self.matching(&rule.subject)?, &rule.condition) {
                (Matching::No, _) => Ok(false),
                (Matching::Missing(missing), _) => Err(self.missing(missing)),
                (Matching::Yes, None) => Ok(true),
                (Matching::Yes, Some(condition)) => match condition.holds(&mut self) {
                    // What its engine throws ends the whole decision.
                    Err(failure) if failure.code() == StatusCode::SyntaxError => return Err(failure),
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
        let decision = combiner.finish().decision();
        match failure {
            Some(failure) if decision == Decision::Indeterminate => Err(failure),
            _ => Ok((decision, !kept.is_empty())),
        }
    }

    /// A required attribute that is missing counts over a match before it, and a match over a missing one before it.
    fn matching(&mut self, of_rule: &'a Alternatives) -> Result<Matching<'a>, Failure<'a>> {
        let mut found = if of_rule.0.is_empty() { Matching::Yes } else { Matching::No };
        for alternative in &of_rule.0 {
            let (mut all, mut missing) = (true, None);
            for one in alternative {
                let values = self.values(one.attribute)?;
                if values.is_empty() && one.must_be_present {
                    missing = Some(one);
                }
                let mut any = false;
                for value in values {
                    any |= one.comparison.holds(&one.literal, value.data_type, value.text, &mut self.fuel)?;
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

    /// Values of an attribute, of whichever issuer and type.
    fn values(&mut self, attribute: u32) -> Result<&'a [Text<'a>], Failure<'a>> {
        self.fuel.pay(1)?;
        Ok(self.texts.values(attribute))
    }

    fn missing(&self, missing: &AltinnMatch) -> Failure<'a> {
        self.missing_of(missing.attribute, &missing.literal.data_type)
    }

    fn missing_of(&self, attribute: u32, data_type: &str) -> Failure<'a> {
        let name = at(&self.policy.attributes, attribute);
        Failure::missing(MissingAttribute {
            category: name.map(|name| name.category.to_string()).unwrap_or_default(),
            id: name.map(|name| name.id.to_string()).unwrap_or_default(),
            data_type: data_type.to_owned(),
            issuer: None,
        })
    }
}

impl Comparison {
    /// Whether it holds. Values whose type is not the literal's are never equal.
    fn holds<'a>(
        self,
        literal: &AltinnLiteral,
        data_type: &str,
        text: &str,
        fuel: &mut Fuel,
    ) -> Result<bool, Failure<'a>> {
        fuel.pay(1)?;
        if self == Self::Unknown {
            return Err(Failure::Said(StatusCode::SyntaxError, "a function that Altinn does not know"));
        }
        if *literal.data_type != *data_type {
            return Ok(false);
        }
        Ok(match self {
            Self::Text => *literal.text == *text,
            Self::TextIgnoringCase => {
                // As .NET folds with `OrdinalIgnoreCase`: letter by letter, beyond ASCII too.
                fold(&literal.text).eq(fold(text))
            }
            // These are nothing but their text: no copy is needed to compare them.
            Self::Typed(DataType::AnyUri) => trimmed(&literal.text) == trimmed(text),
            Self::Typed(kind) => {
                let read = |text| {
                    Value::parse(kind, text).map_err(|error| Failure::told(StatusCode::SyntaxError, error.to_string()))
                };
                match &literal.read {
                    Read::Value(known) => known.equals(&read(text)?),
                    _ => read(&literal.text)?.equals(&read(text)?),
                }
            }
            Self::Pattern => match &literal.read {
                Read::Pattern(pattern) => pattern.is_match(text, fuel)?,
                _ => Pattern::read_for(&literal.text, fuel)?.is_match(text, fuel)?,
            },
            Self::Unknown => false,
        })
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
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

#[cfg(test)]
mod tests;
