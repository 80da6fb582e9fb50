//! Conditions as Altinn's engine reads them: one function of one literal and one attribute.
//!
//! Of several the last counts. The attribute may stand inside another function, which is not looked at but for two kinds:
//! `one-and-only` of integers, dates and instants, after which there may be one value of the type at most, and `bag-size` of
//! times, dates and instants, where the number of values must be the literal. Otherwise one of the attribute's values must
//! compare, of whichever type; a pattern is what the request sends. An expression that is no function never holds.

use std::sync::Arc;

use super::compile::Names;
use super::{AltinnLiteral, Comparison, Evaluation, number};
use crate::xacml::ast::{Apply, Attribute, Designator, Expression};
use crate::xacml::evaluate::Failure;
use crate::xacml::functions::Function;
use crate::xacml::response::StatusCode;
use crate::xacml::value::DataType;

/// A condition.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// Does not hold.
    Never,
    /// What its engine falls over.
    Thrown,
    /// A comparison.
    Compares(Parts),
}

#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) comparison: Comparison,
    pub(crate) literal: AltinnLiteral,
    /// Position in the policy's attributes.
    pub(crate) attribute: u32,
    /// Identifier of the type of the values that are counted, as written.
    pub(crate) data_type: Arc<str>,
    pub(crate) takes: Takes,
}

/// What of the attribute's values is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Any.
    Any,
    /// Any, where there is one of the type at most.
    OnlyOne,
    /// How many there are of the type.
    Count,
}

impl Condition {
    pub(super) fn of(expression: &Expression, names: &mut Names) -> Self {
        match expression {
            Expression::Apply(apply) => Parts::of(apply, names).map_or(Self::Thrown, Self::Compares),
            _ => Self::Never,
        }
    }

    /// Whether it holds. A failure with status syntax-error is one that ends the whole decision.
    pub(super) fn holds<'a>(&self, evaluation: &mut Evaluation<'a>) -> Result<bool, Failure<'a>> {
        let parts = match self {
            Self::Never => return Ok(false),
            Self::Thrown => {
                return Err(Failure::Said(StatusCode::SyntaxError, "a condition that Altinn does not evaluate"));
            }
            Self::Compares(parts) => parts,
        };
        let values = evaluation.values(parts.attribute)?;
        let missing = |evaluation: &Evaluation<'a>| evaluation.missing_of(parts.attribute, &parts.data_type);
        if values.is_empty() && !evaluation.has_category_of(parts.attribute) {
            return Err(missing(evaluation));
        }
        let count = values.iter().filter(|value| *value.data_type == *parts.data_type).count();
        match parts.takes {
            Takes::OnlyOne if count > 1 => return Err(Failure::processing("several values where one is expected")),
            Takes::Count => {
                let wanted = number(&parts.literal.text)
                    .ok_or(Failure::Said(StatusCode::SyntaxError, "the size of a bag is compared with no number"))?;
                return match usize::try_from(wanted) == Ok(count) {
                    true => Ok(true),
                    false => Err(Failure::Said(StatusCode::Ok, "a bag of another size")),
                };
            }
            Takes::Any | Takes::OnlyOne => {}
        }
        if values.is_empty() {
            return Err(missing(evaluation));
        }
        for value in values {
            if parts.comparison.holds_in_condition(&parts.literal, value.text, &mut evaluation.fuel)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Parts {
    /// None if there is no attribute, or nothing to compare it with.
    fn of(outer: &Apply, names: &mut Names) -> Option<Self> {
        let (mut literal, mut inner) = (None, None);
        for argument in &outer.arguments {
            match argument {
                Expression::Literal(one) => literal = Some(one),
                Expression::Apply(one) => inner = Some(one),
                _ => {}
            }
        }
        let designator = last_designator(&outer.arguments).or_else(|| last_designator(&inner.as_ref()?.arguments))?;
        let takes = match Function::from_uri(&inner.unwrap_or(outer).function) {
            Some(Function::OneAndOnly(DataType::Integer | DataType::Date | DataType::DateTime)) => Takes::OnlyOne,
            Some(Function::BagSize(DataType::Time | DataType::Date | DataType::DateTime)) if inner.is_some() => {
                Takes::Count
            }
            _ => Takes::Any,
        };
        Some(Self {
            comparison: Comparison::of(&outer.function),
            literal: AltinnLiteral::of(literal?),
            attribute: names.position(&designator.category, &designator.id),
            data_type: designator.data_type.as_str().into(),
            takes,
        })
    }
}

fn last_designator(arguments: &[Expression]) -> Option<&Designator> {
    arguments.iter().rev().find_map(|argument| match argument {
        Expression::Attribute(Attribute::Designator(designator)) => Some(designator),
        _ => None,
    })
}
