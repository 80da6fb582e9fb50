//! Policies as Altinn's engine reads them, where it departs from the standard.
//!
//! Of a rule's target every category stands alone: all `AllOf` that speak of it, in whichever `AnyOf`, are alternatives. The
//! policy's own target, the environment, issuers and advice are not looked at; obligations are the policy's, on Permit.
//! Values are compared as text with equal data types. What its engine throws (functions that it does not know, selectors,
//! values that cannot be read) ends the whole decision as Indeterminate with status syntax-error; any other Indeterminate
//! has status ok, as there, or processing-error after a bag with too many values. A policy without a rule about the
//! resource and action is not applicable, whatever its algorithm. What its reader refuses is refused, in [`compile`]. Which
//! attributes of the subject a decision needs is told by [`AltinnPolicy::subject_attributes`], for [`super::context`].

mod compile;
mod condition;
mod texts;
mod uri;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::Effect;
use super::combine::{Algorithm, Combiner, Extended};
use super::evaluate::Failure;
use super::functions::{Fuel, Pattern};
use super::program::at;
use super::request::Category;
use super::response::{Decision, DecisionResult, MissingAttribute, Notice, Status, StatusCode};
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
    /// No comparison but a selector, over which the engine falls before it looks at any value.
    Selector,
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
        let mut missing = None;
        for rule in &policy.rules {
            match (self.matching(&rule.resource)?, self.matching(&rule.action)?) {
                (Matching::Yes, Matching::Yes) => kept.push(rule),
                (Matching::Missing(one), _) | (_, Matching::Missing(one)) => missing = missing.or(Some(one)),
                _ => {}
            }
        }
        if let Some(missing) = missing {
            return Err(self.missing(missing));
        }
        if kept.is_empty() {
            return Ok((Decision::NotApplicable, false));
        }
        let mut combiner = policy.algorithm.map(Combiner::new);
        let (mut failure, mut code) = (None, StatusCode::Ok);
        // Each is looked at, also when the decision is known: what is thrown ends it.
        for rule in kept {
            let effect = Extended::from(rule.effect);
            let held = match (self.matching(&rule.subject)?, &rule.condition) {
                (Matching::No, _) => Ok(false),
                (Matching::Missing(missing), _) => Err(self.missing(missing)),
                (Matching::Yes, None) => Ok(true),
                (Matching::Yes, Some(condition)) => match condition.holds(&mut self) {
                    Err(failure) if failure.code() == StatusCode::SyntaxError => return Err(failure),
                    held => held,
                },
            };
            let decision = match held {
                Ok(true) => effect,
                Ok(false) => Extended::NotApplicable,
                Err(error) => {
                    if error.code() == StatusCode::ProcessingError {
                        code = StatusCode::ProcessingError;
                    }
                    failure = failure.or(Some(error));
                    effect.if_uncertain()
                }
            };
            if let Some(combiner) = combiner.as_mut().filter(|combiner| !combiner.is_decided()) {
                combiner.add(decision);
            }
        }
        let Some(combiner) = combiner else {
            return Err(open(code, failure, "Altinn does not know the combining algorithm"));
        };
        match combiner.finish().decision() {
            Decision::Indeterminate => Err(open(code, failure, "a rule cannot be evaluated")),
            decision => Ok((decision, true)),
        }
    }

    /// A required attribute that is missing counts over a match before it, and a match over a missing one before it.
    fn matching(&mut self, of_rule: &'a Alternatives) -> Result<Matching<'a>, Failure<'a>> {
        let mut found = if of_rule.0.is_empty() { Matching::Yes } else { Matching::No };
        for alternative in &of_rule.0 {
            let (mut all, mut missing) = (true, None);
            for one in alternative {
                if one.comparison == Comparison::Selector {
                    return Err(Failure::Said(StatusCode::SyntaxError, "a selector, which Altinn does not evaluate"));
                }
                let values = self.values(one.attribute)?;
                if values.is_empty() && one.must_be_present {
                    missing = Some(one);
                }
                let mut any = false;
                for value in values {
                    if one.comparison.holds(&one.literal, value.data_type, value.text, &mut self.fuel)? {
                        any = true;
                        break;
                    }
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

    /// Whether the request says anything about the category of an attribute.
    fn has_category_of(&self, attribute: u32) -> bool {
        at(&self.policy.attributes, attribute).is_some_and(|name| self.texts.any_of_category(&name.category))
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
    /// Whether it holds in a target. Values whose type is not the literal's are never equal.
    fn holds<'a>(
        self,
        literal: &AltinnLiteral,
        data_type: &str,
        text: &str,
        fuel: &mut Fuel,
    ) -> Result<bool, Failure<'a>> {
        fuel.pay(1)?;
        if *literal.data_type != *data_type {
            return Ok(false);
        }
        match (self, &literal.read) {
            (Self::Pattern, Read::Pattern(pattern)) => pattern.is_match(text, fuel),
            (Self::Pattern, _) => as_pattern(&literal.text, text, fuel),
            _ => self.equal(literal, text),
        }
    }

    /// Whether it holds in a condition: of values of whichever type, and a pattern is what the request sends.
    fn holds_in_condition<'a>(self, literal: &AltinnLiteral, text: &str, fuel: &mut Fuel) -> Result<bool, Failure<'a>> {
        fuel.pay(1)?;
        match self {
            Self::Pattern => as_pattern(text, &literal.text, fuel),
            _ => self.equal(literal, text),
        }
    }

    fn equal<'a>(self, literal: &AltinnLiteral, text: &str) -> Result<bool, Failure<'a>> {
        let thrown = |error: String| Failure::told(StatusCode::SyntaxError, error);
        Ok(match self {
            Self::Text => *literal.text == *text,
            // As .NET folds with `OrdinalIgnoreCase`: letter by letter, beyond ASCII too.
            Self::TextIgnoringCase => fold(&literal.text).eq(fold(text)),
            Self::Typed(DataType::AnyUri) => uri::same(&literal.text, text)
                .ok_or(Failure::Said(StatusCode::SyntaxError, "a text that is no absolute URI"))?,
            // What is no number of 32 bits is nothing's equal.
            Self::Typed(DataType::Integer) => number(&literal.text).is_some_and(|known| number(text) == Some(known)),
            Self::Typed(kind) => {
                let read = |text| Value::parse(kind, text).map_err(|error| thrown(error.to_string()));
                match &literal.read {
                    Read::Value(known) => known.equals(&read(text)?),
                    _ => read(&literal.text)?.equals(&read(text)?),
                }
            }
            Self::Pattern | Self::Unknown | Self::Selector => {
                return Err(Failure::Said(StatusCode::SyntaxError, "a function that Altinn does not know"));
            }
        })
    }
}

/// Whether a pattern matches. One that is wrong is thrown.
fn as_pattern<'a>(pattern: &str, text: &str, fuel: &mut Fuel) -> Result<bool, Failure<'a>> {
    let read = Pattern::read_for(pattern, fuel);
    let read = match read {
        Err(failure) if !fuel.is_empty() => {
            let message = failure.status().message.unwrap_or_default();
            return Err(Failure::told(StatusCode::SyntaxError, message));
        }
        read => read?,
    };
    read.is_match(text, fuel)
}

/// A number of 32 bits.
fn number(text: &str) -> Option<i32> {
    trimmed(text).parse().ok()
}

/// An Indeterminate that nothing was thrown for, with the status that Altinn gives it.
fn open<'a>(code: StatusCode, failure: Option<Failure<'a>>, otherwise: &'static str) -> Failure<'a> {
    match failure {
        Some(failure) => Failure::Told(Arc::new(Status { code, ..failure.status() })),
        None => Failure::Said(code, otherwise),
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
