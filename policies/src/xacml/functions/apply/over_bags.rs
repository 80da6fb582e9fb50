//! Higher-order functions: a function applied to the values of bags, chosen by position, without a copy of any.

use super::{Argument, Arguments, apply, mistyped};
use crate::xacml::evaluate::{Operand, Outcome};
use crate::xacml::functions::{Fuel, Function, HigherOrder};

/// Applies a function to the values of bags, as a higher-order function says. `positions` is room to count in.
pub(crate) fn apply_over_bags<'a>(
    kind: HigherOrder,
    function: Function,
    operands: &[Outcome<'a>],
    positions: &mut Vec<usize>,
    fuel: &mut Fuel,
) -> Outcome<'a> {
    let mut any_empty = false;
    for operand in operands {
        let operand = operand.as_ref().map_err(Clone::clone)?.as_argument();
        fuel.pay(operand.weight())?;
        any_empty |= matches!(operand, Argument::Bag([]));
    }
    positions.clear();
    positions.resize(operands.len(), 0);
    match kind {
        HigherOrder::Map => map(function, operands, positions, any_empty, fuel),
        HigherOrder::AnyOf | HigherOrder::AnyOfAny => any_or_all(true, function, operands, positions, any_empty, fuel),
        HigherOrder::AllOf | HigherOrder::AllOfAll => any_or_all(false, function, operands, positions, any_empty, fuel),
        HigherOrder::AllOfAny => pairs(true, function, operands, fuel),
        HigherOrder::AnyOfAll => pairs(false, function, operands, fuel),
    }
}

/// The results for every choice.
fn map<'a>(
    function: Function,
    operands: &[Outcome<'a>],
    positions: &mut [usize],
    any_empty: bool,
    fuel: &mut Fuel,
) -> Outcome<'a> {
    let mut results = Vec::new();
    let mut more = !any_empty;
    while more {
        match apply(function, Arguments::Chosen(operands, positions), fuel)? {
            Operand::One(value) => results.push(value),
            Operand::Literal(literal) => results.push(literal.value.clone()),
            Operand::Given(_) | Operand::Bag(_) => return Err(mistyped()),
        }
        more = advance(operands, positions);
    }
    Ok(Operand::Bag(results.into()))
}

/// Whether it holds for some choice (`wanted`), or for every one.
fn any_or_all<'a>(
    wanted: bool,
    function: Function,
    operands: &[Outcome<'a>],
    positions: &mut [usize],
    any_empty: bool,
    fuel: &mut Fuel,
) -> Outcome<'a> {
    let mut failure = None;
    let mut more = !any_empty;
    while more {
        match apply(function, Arguments::Chosen(operands, positions), fuel) {
            Ok(answer) if answer.is_true() == wanted => return Ok(Operand::boolean(wanted)),
            Ok(_) => {}
            // Without fuel every further choice would fail, too, and there may be very many.
            Err(error) if fuel.is_empty() => return Err(error),
            Err(error) => failure = failure.or(Some(error)),
        }
        more = advance(operands, positions);
    }
    failure.map_or(Ok(Operand::boolean(!wanted)), Err)
}

/// Whether every value of the first bag has one of the second (`every`); or some value of the first has all of the second.
fn pairs<'a>(every: bool, function: Function, operands: &[Outcome<'a>], fuel: &mut Fuel) -> Outcome<'a> {
    let [first, second] = operands else { return Err(mistyped()) };
    for one in 0..extent(first) {
        let mut inner = !every;
        for other in 0..extent(second) {
            let answer = apply(function, Arguments::Chosen(operands, &[one, other]), fuel)?;
            if answer.is_true() == every {
                inner = every;
                break;
            }
        }
        if inner != every {
            return Ok(Operand::boolean(!every));
        }
    }
    Ok(Operand::boolean(every))
}

/// Goes on to the next choice; the last operand changes first.
fn advance(operands: &[Outcome<'_>], positions: &mut [usize]) -> bool {
    for (operand, position) in operands.iter().zip(positions).rev() {
        *position = position.saturating_add(1);
        if *position < extent(operand) {
            return true;
        }
        *position = 0;
    }
    false
}

/// How many values there are to choose from.
fn extent(operand: &Outcome<'_>) -> usize {
    match operand.as_ref().map(Operand::as_argument) {
        Ok(Argument::Bag(values)) => values.len(),
        Ok(Argument::One(_)) => 1,
        Err(_) => 0,
    }
}
