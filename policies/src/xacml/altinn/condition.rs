//! Conditions as Altinn's engine reads them: one function of one literal and one attribute.
//!
//! Of several the last counts. The attribute may stand inside `one-and-only` or `bag-size`. Anything else is what its engine
//! cannot evaluate, and fails.

use super::{Comparison, missing_attribute, values_of};
use crate::xacml::ast::{Attribute, Designator, Expression};
use crate::xacml::evaluate::Failure;
use crate::xacml::functions::{Fuel, Function};
use crate::xacml::request::{Category, RequestValue};
use crate::xacml::response::MissingAttribute;
use crate::xacml::value::DataType;

/// A condition; none of its parts if it has a shape that Altinn does not know.
#[derive(Debug, Clone)]
pub(super) struct Condition(Option<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    function: Comparison,
    literal: RequestValue,
    category: String,
    attribute: String,
    data_type: String,
    takes: Takes,
}

/// What of the attribute's values is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    OnlyOne,
    Count,
}

impl Condition {
    pub(super) fn of(expression: &Expression) -> Self {
        Self(Parts::of(expression))
    }

    /// Whether it holds. A failure with status syntax-error is one that ends the whole decision.
    pub(super) fn holds(&self, categories: &[&Category], fuel: &mut Fuel) -> Result<bool, Failure> {
        let parts = self.0.as_ref().ok_or_else(|| Failure::syntax("a condition that Altinn does not evaluate"))?;
        let mut values = values_of(categories, &parts.category, &parts.attribute);
        let first = values.next();
        let more = values.count();
        let missing = || {
            missing_attribute(MissingAttribute {
                category: parts.category.clone(),
                id: parts.attribute.clone(),
                data_type: parts.data_type.clone(),
                issuer: None,
            })
        };
        match parts.takes {
            Takes::Count => {
                let count = if first.is_some() { more.saturating_add(1) } else { 0 };
                let count = RequestValue { data_type: DataType::Integer.uri().to_owned(), text: count.to_string() };
                parts.function.holds(&parts.literal, &count, fuel)
            }
            Takes::OnlyOne if more > 0 => Err(Failure::processing("several values where one is expected")),
            Takes::OnlyOne => parts.function.holds(&parts.literal, first.ok_or_else(missing)?, fuel),
        }
    }
}

impl Parts {
    fn of(expression: &Expression) -> Option<Self> {
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
            function: Comparison::of_function(&outer.function),
            literal: RequestValue { data_type: literal.data_type.clone(), text: literal.text.trim().to_owned() },
            category: designator.category.clone(),
            attribute: designator.id.clone(),
            data_type: designator.data_type.clone(),
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
