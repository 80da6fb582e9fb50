//! Functions over bags and sets. A set is a bag read without regard to order and repetition.

use super::apply::mistyped;
use super::{Fuel, Function};
use crate::xacml::evaluate::{Operand, Outcome};
use crate::xacml::value::Value;

pub(super) fn apply(function: Function, arguments: &[Operand], fuel: &mut Fuel) -> Outcome {
    use Operand::{Bag, One};
    let boolean = |value| Ok(One(Value::Boolean(value)));
    match (function, arguments) {
        (Function::BagSize(_), [Bag(values)]) => Ok(One(Value::Integer(i128::try_from(values.len()).unwrap_or(0)))),
        (Function::IsIn(_), [One(value), Bag(values)]) => boolean(contains(values, value)),
        (Function::Bag(_), _) => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                match argument {
                    One(value) => values.push(value.clone()),
                    Bag(_) => return Err(mistyped()),
                }
            }
            Ok(Bag(values.into()))
        }
        (Function::Union(_), _) => {
            let mut union = Vec::new();
            for argument in arguments {
                let Bag(values) = argument else { return Err(mistyped()) };
                pay_for_pairs(values, &union, fuel)?;
                pay_for_pairs(values, values, fuel)?;
                add_new(&mut union, values.iter());
            }
            Ok(Bag(union.into()))
        }
        (_, [Bag(first), Bag(second)]) => {
            pay_for_pairs(first, second, fuel)?;
            let is_subset = |some: &[Value], of: &[Value]| some.iter().all(|value| contains(of, value));
            match function {
                Function::Intersection(_) => {
                    pay_for_pairs(first, first, fuel)?;
                    let mut both = Vec::new();
                    add_new(&mut both, first.iter().filter(|value| contains(second, value)));
                    Ok(Bag(both.into()))
                }
                Function::AtLeastOneMemberOf(_) => boolean(first.iter().any(|value| contains(second, value))),
                Function::Subset(_) => boolean(is_subset(first, second)),
                Function::SetEquals(_) => boolean(is_subset(first, second) && is_subset(second, first)),
                _ => Err(mistyped()),
            }
        }
        _ => Err(mistyped()),
    }
}

fn contains(values: &[Value], value: &Value) -> bool {
    values.iter().any(|other| other.equals(value))
}

fn add_new<'a>(to: &mut Vec<Value>, values: impl Iterator<Item = &'a Value>) {
    for value in values {
        if !contains(to, value) {
            to.push(value.clone());
        }
    }
}

/// Comparing every value with every other is paid for before it is done.
fn pay_for_pairs(some: &[Value], others: &[Value], fuel: &mut Fuel) -> Result<(), crate::xacml::evaluate::Failure> {
    fuel.pay(u64::try_from(some.len().saturating_mul(others.len())).unwrap_or(u64::MAX))
}
