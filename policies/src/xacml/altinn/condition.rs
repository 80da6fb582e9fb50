//! Conditions as Altinn's engine reads them: one function of one literal and one attribute.
//!
//! Of several the last counts. The attribute may stand inside `one-and-only` or `bag-size`. Anything else is what its engine
//! cannot evaluate, and fails.

use std::sync::Arc;

use super::compile::Names;
use super::{AltinnLiteral, Comparison, Evaluation};
use crate::xacml::ast::{Attribute, Designator, Expression};
use crate::xacml::evaluate::Failure;
use crate::xacml::functions::Function;
use crate::xacml::response::StatusCode;
use crate::xacml::value::DataType;

/// A condition; none of its parts if it has a shape that Altinn does not know.
#[derive(Debug, Clone)]
pub(crate) struct Condition(pub(crate) Option<Parts>);

#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) comparison: Comparison,
    pub(crate) literal: AltinnLiteral,
    /// Position in the policy's attributes.
    pub(crate) attribute: u32,
    /// Identifier of the type that is asked for, as written; it only tells what is missing.
    pub(crate) data_type: Arc<str>,
    pub(crate) takes: Takes,
}

/// What of the attribute's values is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    OnlyOne,
    Count,
}

impl Condition {
    pub(super) fn of(expression: &Expression, names: &mut Names) -> Self {
        Self(Parts::of(expression, names))
    }

    /// Whether it holds. A failure with status syntax-error is one that ends the whole decision.
    pub(super) fn holds<'a>(&self, evaluation: &mut Evaluation<'a>) -> Result<bool, Failure<'a>> {
        let parts = self
            .0
            .as_ref()
            .ok_or(Failure::Said(StatusCode::SyntaxError, "a condition that Altinn does not evaluate"))?;
        let values = evaluation.values(parts.attribute)?;
        match (parts.takes, values) {
            (Takes::Count, _) => {
                let count = values.len().to_string();
                parts.comparison.holds(&parts.literal, DataType::Integer.uri(), &count, &mut evaluation.fuel)
            }
            (Takes::OnlyOne, [value]) => {
                parts.comparison.holds(&parts.literal, value.data_type, value.text, &mut evaluation.fuel)
            }
            (Takes::OnlyOne, []) => Err(evaluation.missing_of(parts.attribute, &parts.data_type)),
            (Takes::OnlyOne, _) => Err(Failure::processing("several values where one is expected")),
        }
    }
}

impl Parts {
    fn of(expression: &Expression, names: &mut Names) -> Option<Self> {
        let Expression::Apply(outer) = expression else { return None };
        let (mut literal, mut found) = (None, None);
        for argument in &outer.arguments {
            match argument {
                Expression::Literal(one) => literal = Some(one),
                Expression::Attribute(Attribute::Designator(designator)) => found = Some((designator, Takes::OnlyOne)),
                Expression::Apply(inner) => {
                    let takes = match Function::from_uri(&inner.function)? {
                        Function::OneAndOnly(DataType::Integer | DataType::Date | DataType::DateTime) => Takes::OnlyOne,
                        Function::BagSize(DataType::Time | DataType::Date | DataType::DateTime) => Takes::Count,
                        _ => return None,
                    };
                    found = Some((last_designator(&inner.arguments)?, takes));
                }
                _ => return None,
            }
        }
        let ((designator, takes), literal) = (found?, literal?);
        Some(Self {
            comparison: Comparison::of_function(&outer.function),
            literal: AltinnLiteral::of(literal),
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
