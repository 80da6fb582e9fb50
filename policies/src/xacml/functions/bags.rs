//! Functions over bags and sets. A set is a bag read without regard to order and repetition.

use super::apply::mistyped;
use super::{Argument, Fuel, Function, Spent};
use crate::xacml::evaluate::{Failure, Operand, Outcome};
use crate::xacml::value::Value;

/// A bag of values.
pub(super) fn bag<'s, 'a>(
    arguments: impl Iterator<Item = Result<Argument<'s>, Failure<'a>>>,
    count: usize,
) -> Outcome<'a> {
    let mut values = Vec::with_capacity(count);
    for argument in arguments {
        match argument? {
            Argument::One(value) => values.push(value.clone()),
            Argument::Bag(_) => return Err(mistyped()),
        }
    }
    Ok(Operand::Bag(values.into()))
}

/// What is in some of the bags.
pub(super) fn union<'s, 'a>(
    arguments: impl Iterator<Item = Result<Argument<'s>, Failure<'a>>>,
    fuel: &mut Fuel,
) -> Outcome<'a> {
    let mut union = Vec::new();
    for argument in arguments {
        let Argument::Bag(values) = argument? else { return Err(mistyped()) };
        pay_for_pairs(values, &union, fuel)?;
        pay_for_pairs(values, values, fuel)?;
        add_new(&mut union, values.iter());
    }
    Ok(Operand::Bag(union.into()))
}

/// Functions of a fixed number of arguments.
pub(super) fn fixed<'a>(function: Function, arguments: &[Argument<'_>], fuel: &mut Fuel) -> Outcome<'a> {
    use Argument::{Bag, One};
    let boolean = |value| Ok(Operand::boolean(value));
    match (function, arguments) {
        (Function::BagSize(_), [Bag(values)]) => {
            Ok(Operand::One(Value::Integer(i128::try_from(values.len()).unwrap_or(0))))
        }
        (Function::IsIn(_), [One(value), Bag(values)]) => boolean(contains(values, value)),
        (_, [Bag(first), Bag(second)]) => {
            pay_for_pairs(first, second, fuel)?;
            let is_subset = |some: &[Value], of: &[Value]| some.iter().all(|value| contains(of, value));
            match function {
                Function::Intersection(_) => {
                    pay_for_pairs(first, first, fuel)?;
                    let mut both = Vec::new();
                    add_new(&mut both, first.iter().filter(|value| contains(second, value)));
                    Ok(Operand::Bag(both.into()))
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

fn add_new<'s>(to: &mut Vec<Value>, values: impl Iterator<Item = &'s Value>) {
    for value in values {
        if !contains(to, value) {
            to.push(value.clone());
        }
    }
}

/// Comparing every value with every other is paid for before it is done.
fn pay_for_pairs(some: &[Value], others: &[Value], fuel: &mut Fuel) -> Result<(), Spent> {
    fuel.pay(u64::try_from(some.len().saturating_mul(others.len())).unwrap_or(u64::MAX))
}
