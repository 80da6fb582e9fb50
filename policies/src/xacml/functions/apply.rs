//! What the functions compute, over values that the compiler has typed.
//!
//! Every call is paid for in [`Fuel`], in proportion to what it looks at. A failure is a value: the logical functions may
//! still know the answer without it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Comparison, Function, HigherOrder, bags, regexp};
use crate::xacml::evaluate::{Failure, Operand, Outcome};
use crate::xacml::value::Value;

/// Longest text that joining gives, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What an evaluation may still spend.
#[derive(Debug)]
pub(crate) struct Fuel(u64);

impl Fuel {
    pub(crate) fn new(units: u64) -> Self {
        Self(units)
    }

    /// Pays, or fails for good: nothing after it can be paid for either.
    pub(crate) fn pay(&mut self, units: u64) -> Result<(), Failure> {
        match self.0.checked_sub(units) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                self.0 = 0;
                Err(Failure::processing("the decision needs more steps than allowed"))
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// Applies a function to its arguments, some of which may have failed.
pub(crate) fn apply(function: Function, arguments: &[Outcome], fuel: &mut Fuel) -> Outcome {
    fuel.pay(1)?;
    match function {
        Function::And => logical(false, arguments),
        Function::Or => logical(true, arguments),
        Function::AtLeast => at_least(arguments),
        _ => {
            let mut known = Vec::with_capacity(arguments.len());
            for argument in arguments {
                known.push(argument.as_ref().map_err(Clone::clone)?.clone());
            }
            fuel.pay(known.iter().map(Operand::weight).fold(0, u64::saturating_add))?;
            known_arguments(function, &known, fuel)
        }
    }
}

/// Applies a function to the values of bags, as a higher-order function says.
pub(crate) fn apply_over_bags(
    kind: HigherOrder,
    function: Function,
    arguments: &[Outcome],
    fuel: &mut Fuel,
) -> Outcome {
    let mut lists: Vec<Vec<Value>> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let argument = argument.as_ref().map_err(Clone::clone)?;
        fuel.pay(argument.weight())?;
        lists.push(match argument {
            Operand::One(value) => vec![value.clone()],
            Operand::Bag(values) => values.to_vec(),
        });
    }
    let mut call = |tuple: &[Value]| {
        let tuple: Vec<Outcome> = tuple.iter().map(|value| Ok(Operand::One(value.clone()))).collect();
        apply(function, &tuple, fuel)
    };
    let answer = match (kind, lists.as_slice()) {
        (HigherOrder::Map, _) => {
            let mut results = Vec::new();
            for tuple in Tuples::of(&lists) {
                match call(&tuple)? {
                    Operand::One(value) => results.push(value),
                    Operand::Bag(values) => results.extend(values.iter().cloned()),
                }
            }
            return Ok(Operand::Bag(results.into()));
        }
        (HigherOrder::AnyOf | HigherOrder::AnyOfAny, _) => {
            let mut failure = None;
            for tuple in Tuples::of(&lists) {
                match call(&tuple) {
                    Ok(answer) if is_true(&answer) => return Ok(boolean(true)),
                    Ok(_) => {}
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                Some(failure) => return Err(failure),
                None => false,
            }
        }
        (HigherOrder::AllOf | HigherOrder::AllOfAll, _) => {
            let mut failure = None;
            for tuple in Tuples::of(&lists) {
                match call(&tuple) {
                    Ok(answer) if is_true(&answer) => {}
                    Ok(_) => return Ok(boolean(false)),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                Some(failure) => return Err(failure),
                None => true,
            }
        }
        // Every value of the first has one of the second; or some value of the first has all of the second.
        (HigherOrder::AllOfAny | HigherOrder::AnyOfAll, [first, second]) => {
            let every = kind == HigherOrder::AllOfAny;
            let mut answer = every;
            for one in first {
                let mut inner = !every;
                for other in second {
                    if is_true(&call(&[one.clone(), other.clone()])?) == every {
                        inner = every;
                        break;
                    }
                }
                if inner != every {
                    answer = !every;
                    break;
                }
            }
            answer
        }
        _ => return Err(mistyped()),
    };
    Ok(boolean(answer))
}

/// Every way to take one value out of each list, in order, without recursion.
struct Tuples<'a> {
    lists: &'a [Vec<Value>],
    at: Option<Vec<usize>>,
}

impl<'a> Tuples<'a> {
    fn of(lists: &'a [Vec<Value>]) -> Self {
        let any = lists.iter().all(|list| !list.is_empty());
        Self { lists, at: any.then(|| vec![0; lists.len()]) }
    }
}

impl Iterator for Tuples<'_> {
    type Item = Vec<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut at = self.at.take()?;
        let tuple = self.lists.iter().zip(&at).filter_map(|(list, index)| list.get(*index).cloned()).collect();
        for (list, index) in self.lists.iter().zip(at.iter_mut()).rev() {
            *index = index.saturating_add(1);
            if *index < list.len() {
                self.at = Some(at);
                break;
            }
            *index = 0;
        }
        Some(tuple)
    }
}

/// `and` stops at false, `or` at true; a failure elsewhere does not change what is then known.
fn logical(stops_at: bool, arguments: &[Outcome]) -> Outcome {
    let mut failure = None;
    for argument in arguments {
        match argument {
            Ok(Operand::One(Value::Boolean(value))) if *value == stops_at => return Ok(boolean(stops_at)),
            Ok(_) => {}
            Err(error) => failure = failure.or(Some(error.clone())),
        }
    }
    failure.map_or(Ok(boolean(!stops_at)), Err)
}

fn at_least(arguments: &[Outcome]) -> Outcome {
    let Some((count, rest)) = arguments.split_first() else { return Err(mistyped()) };
    let Operand::One(Value::Integer(count)) = count.as_ref().map_err(Clone::clone)? else { return Err(mistyped()) };
    let of = |wanted: fn(&Outcome) -> bool| i128::try_from(rest.iter().filter(|one| wanted(one)).count()).unwrap_or(0);
    let met = of(|one| one.as_ref().is_ok_and(is_true));
    let failed = of(Outcome::is_err);
    if *count <= met {
        return Ok(boolean(true));
    }
    if *count > i128::try_from(rest.len()).unwrap_or(0) {
        return Err(Failure::processing("`n-of` asks for more than it is given"));
    }
    match rest.iter().find_map(|one| one.as_ref().err()) {
        Some(failure) if met.saturating_add(failed) >= *count => Err(failure.clone()),
        _ => Ok(boolean(false)),
    }
}

fn known_arguments(function: Function, arguments: &[Operand], fuel: &mut Fuel) -> Outcome {
    use Operand::{Bag, One};
    use Value::{AnyUri, Double, Integer, String};
    let answer = match (function, arguments) {
        (Function::Equal(_), [One(a), One(b)]) => Value::Boolean(a.equals(b)),
        (Function::EqualIgnoreCase, [One(String(a)), One(String(b))]) => {
            Value::Boolean(a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase)))
        }
        (Function::Compare(_, comparison), [One(a), One(b)]) => Value::Boolean(match (comparison, a.compare(b)) {
            (_, None) => false,
            (Comparison::Greater, Some(order)) => order == Ordering::Greater,
            (Comparison::GreaterOrEqual, Some(order)) => order != Ordering::Less,
            (Comparison::Less, Some(order)) => order == Ordering::Less,
            (Comparison::LessOrEqual, Some(order)) => order != Ordering::Greater,
        }),
        (Function::Add(_) | Function::Multiply(_), _) => fold(function, arguments)?,
        (Function::Subtract(_), [One(Integer(a)), One(Integer(b))]) => Integer(fits(a.checked_sub(*b))?),
        (Function::Subtract(_), [One(Double(a)), One(Double(b))]) => Double(a - b),
        (Function::Divide(_), [One(Integer(_)), One(Integer(0))]) => return Err(by_zero()),
        (Function::Divide(_), [One(Double(_)), One(Double(b))]) if *b == 0.0 => return Err(by_zero()),
        (Function::Divide(_), [One(Integer(a)), One(Integer(b))]) => Integer(fits(a.checked_div(*b))?),
        (Function::Divide(_), [One(Double(a)), One(Double(b))]) => Double(a / b),
        (Function::Modulo, [One(Integer(_)), One(Integer(0))]) => return Err(by_zero()),
        (Function::Modulo, [One(Integer(a)), One(Integer(b))]) => Integer(fits(a.checked_rem(*b))?),
        (Function::Absolute(_), [One(Integer(a))]) => Integer(fits(a.checked_abs())?),
        (Function::Absolute(_), [One(Double(a))]) => Double(a.abs()),
        // Half goes up, as in XPath.
        (Function::Round, [One(Double(a))]) => Double(if a.fract() == -0.5 { a.ceil() } else { a.round() }),
        (Function::Floor, [One(Double(a))]) => Double(a.floor()),
        (Function::NormalizeSpace, [One(String(a))]) => String(a.trim_matches([' ', '\t', '\r', '\n']).into()),
        (Function::NormalizeToLowerCase, [One(String(a))]) => String(a.to_lowercase().into()),
        (Function::DoubleToInteger, [One(Double(a))]) => Integer(fits(truncate(*a))?),
        #[expect(clippy::cast_precision_loss, reason = "XACML's conversion is to the nearest double")]
        (Function::IntegerToDouble, [One(Integer(a))]) => Double(*a as f64),
        (Function::Not, [One(Value::Boolean(a))]) => Value::Boolean(!a),
        (Function::AddDuration { subtract, .. }, [One(to), One(duration)]) => fits(moved(to, duration, subtract))?,
        (Function::TimeInRange, [One(Value::Time(at)), One(Value::Time(first)), One(Value::Time(last))]) => {
            Value::Boolean(at.is_in_range(*first, *last))
        }
        (Function::Concatenate, _) => String(joined(arguments)?),
        (Function::UriConcatenate, _) => AnyUri(joined(arguments)?),
        (Function::FromString(kind), [One(String(text))]) => {
            Value::parse(kind, text).map_err(|error| Failure::syntax(error.to_string()))?
        }
        (Function::ToString(_), [One(value)]) => String(value.to_string().into()),
        (Function::StartsWith(_), [One(String(a)), One(String(b) | AnyUri(b))]) => Value::Boolean(b.starts_with(&**a)),
        (Function::EndsWith(_), [One(String(a)), One(String(b) | AnyUri(b))]) => Value::Boolean(b.ends_with(&**a)),
        (Function::Contains(_), [One(String(a)), One(String(b) | AnyUri(b))]) => Value::Boolean(b.contains(&**a)),
        (Function::Substring(_), [One(String(text) | AnyUri(text)), One(Integer(from)), One(Integer(to))]) => {
            String(substring(text, *from, *to)?)
        }
        (Function::RegexpMatch(_), [One(String(pattern)), One(value)]) => {
            Value::Boolean(regexp::is_match(pattern, &value.to_string(), fuel)?)
        }
        (Function::X500Match, [One(Value::X500Name(end)), One(Value::X500Name(name))]) => {
            Value::Boolean(end.ends(name))
        }
        (Function::Rfc822Match, [One(String(pattern)), One(Value::Rfc822Name(name))]) => {
            Value::Boolean(name.is_covered_by(pattern))
        }
        (Function::OneAndOnly(_), [Bag(values)]) => match &**values {
            [value] => value.clone(),
            values => {
                return Err(Failure::processing(format!("a bag of {} values where one is expected", values.len())));
            }
        },
        _ => return bags::apply(function, arguments, fuel),
    };
    Ok(One(answer))
}

/// Adds or multiplies.
fn fold(function: Function, arguments: &[Operand]) -> Result<Value, Failure> {
    let adds = matches!(function, Function::Add(_));
    let mut arguments = arguments.iter().map(|argument| match argument {
        Operand::One(value) => Ok(value),
        Operand::Bag(_) => Err(mistyped()),
    });
    let mut result = arguments.next().ok_or_else(mistyped)??.clone();
    for argument in arguments {
        result = match (&result, argument?) {
            (Value::Integer(a), Value::Integer(b)) if adds => Value::Integer(fits(a.checked_add(*b))?),
            (Value::Integer(a), Value::Integer(b)) => Value::Integer(fits(a.checked_mul(*b))?),
            (Value::Double(a), Value::Double(b)) if adds => Value::Double(a + b),
            (Value::Double(a), Value::Double(b)) => Value::Double(a * b),
            _ => return Err(mistyped()),
        };
    }
    Ok(result)
}

fn moved(to: &Value, duration: &Value, subtract: bool) -> Option<Value> {
    Some(match (to, duration) {
        (Value::DateTime(to), Value::DayTimeDuration(by)) => Value::DateTime(to.plus_day_time(*by, subtract)?),
        (Value::DateTime(to), Value::YearMonthDuration(by)) => Value::DateTime(to.plus_year_month(*by, subtract)?),
        (Value::Date(to), Value::YearMonthDuration(by)) => Value::Date(to.plus_year_month(*by, subtract)?),
        _ => return None,
    })
}

fn joined(arguments: &[Operand]) -> Result<Arc<str>, Failure> {
    let mut text = String::new();
    for argument in arguments {
        if let Operand::One(Value::String(part) | Value::AnyUri(part)) = argument {
            if text.len().saturating_add(part.len()) > TEXT_BYTES_MAX {
                return Err(Failure::processing("a text longer than allowed"));
            }
            text.push_str(part);
        }
    }
    Ok(text.into())
}

/// The characters from one position up to before another; -1 means the end.
fn substring(text: &str, from: i128, to: i128) -> Result<Arc<str>, Failure> {
    let outside = || Failure::processing("a substring outside its string");
    let length = text.chars().count();
    let from = usize::try_from(from).map_err(|_| outside())?;
    let to = if to == -1 { length } else { usize::try_from(to).map_err(|_| outside())? };
    let count = to.checked_sub(from).filter(|_| to <= length).ok_or_else(outside)?;
    Ok(text.chars().skip(from).take(count).collect::<String>().into())
}

/// Without its fraction, if it is a whole number that fits.
fn truncate(value: f64) -> Option<i128> {
    // 2^127, the first double beyond.
    let beyond = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to fit; dropping the fraction is the function")]
    (value.abs() < beyond).then_some(value as i128)
}

fn is_true(operand: &Operand) -> bool {
    matches!(operand, Operand::One(Value::Boolean(true)))
}

fn boolean(value: bool) -> Operand {
    Operand::One(Value::Boolean(value))
}

fn fits<T>(result: Option<T>) -> Result<T, Failure> {
    result.ok_or_else(|| Failure::processing("a result outside the values of its type"))
}

fn by_zero() -> Failure {
    Failure::processing("division by zero")
}

/// Never happens to what the compiler has typed; were it to, nothing would be permitted by it.
pub(super) fn mistyped() -> Failure {
    Failure::processing("a function was given what it does not take")
}
