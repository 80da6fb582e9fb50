//! What the functions compute, over values that were typed before.
//!
//! Every call is paid for in [`Fuel`], in proportion to what it looks at. Arguments are looked at where they stand; only a
//! function whose result is a new text or bag allocates. A failure is a value: the logical functions may still know the
//! answer without it.

mod over_bags;

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Comparison, Fuel, Function, Pattern, bags};
use crate::xacml::evaluate::{Failure, Operand, Outcome};
use crate::xacml::program::Literal;
use crate::xacml::response::StatusCode;
use crate::xacml::value::Value;

pub(crate) use over_bags::apply_over_bags;

/// Longest text that joining gives, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most arguments of a function that takes a fixed number of them.
const FIXED_MAX: usize = 3;

/// Arguments, wherever they stand.
#[derive(Clone, Copy)]
pub(crate) enum Arguments<'s, 'a> {
    /// Operands, some of which may have failed.
    Stacked(&'s [Outcome<'a>]),
    /// A literal and a value of an attribute.
    Matched(&'s Literal, &'s Value),
    /// Of each operand its one value, or the value of its bag at this position.
    Chosen(&'s [Outcome<'a>], &'s [usize]),
}

/// One argument.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'s> {
    One(&'s Value),
    Bag(&'s [Value]),
}

impl<'s, 'a> Arguments<'s, 'a> {
    fn len(self) -> usize {
        match self {
            Self::Stacked(operands) | Self::Chosen(operands, _) => operands.len(),
            Self::Matched(..) => 2,
        }
    }

    fn at(self, index: usize) -> Result<Argument<'s>, Failure<'a>> {
        match self {
            Self::Stacked(operands) => match operands.get(index).ok_or_else(mistyped)? {
                Ok(operand) => Ok(operand.as_argument()),
                Err(failure) => Err(failure.clone()),
            },
            Self::Matched(literal, _) if index == 0 => Ok(Argument::One(&literal.value)),
            Self::Matched(_, value) => Ok(Argument::One(value)),
            Self::Chosen(operands, positions) => match (operands.get(index), positions.get(index)) {
                (Some(Ok(operand)), Some(position)) => match operand.as_argument() {
                    Argument::Bag(values) => values.get(*position).map(Argument::One).ok_or_else(mistyped),
                    one => Ok(one),
                },
                _ => Err(mistyped()),
            },
        }
    }

    fn iter(self) -> impl Iterator<Item = Result<Argument<'s>, Failure<'a>>> + use<'s, 'a> {
        (0..self.len()).map(move |index| self.at(index))
    }

    /// The first argument as a pattern, if it is a literal that was read as one already.
    fn pattern(self) -> Option<&'s Pattern> {
        match self {
            Self::Stacked(operands) | Self::Chosen(operands, _) => match operands.first() {
                Some(Ok(Operand::Literal(literal))) => literal.pattern.as_ref(),
                _ => None,
            },
            Self::Matched(literal, _) => literal.pattern.as_ref(),
        }
    }
}

impl Argument<'_> {
    /// How much work it is to look at.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::One(value) => value.weight(),
            Self::Bag(values) => values.iter().map(Value::weight).fold(1, u64::saturating_add),
        }
    }
}

/// Applies a function to its arguments, some of which may have failed.
pub(crate) fn apply<'a>(function: Function, arguments: Arguments<'_, 'a>, fuel: &mut Fuel) -> Outcome<'a> {
    fuel.pay(1)?;
    match function {
        Function::And => logical(false, arguments),
        Function::Or => logical(true, arguments),
        Function::AtLeast => at_least(arguments),
        Function::Add(_)
        | Function::Multiply(_)
        | Function::Concatenate
        | Function::UriConcatenate
        | Function::Bag(_)
        | Function::Union(_) => {
            let mut weight = 0_u64;
            for argument in arguments.iter() {
                weight = weight.saturating_add(argument?.weight());
            }
            fuel.pay(weight)?;
            match function {
                Function::Add(_) | Function::Multiply(_) => fold(function, arguments).map(Operand::One),
                Function::Concatenate => Ok(Operand::One(Value::String(joined(arguments)?))),
                Function::UriConcatenate => Ok(Operand::One(Value::AnyUri(joined(arguments)?))),
                Function::Bag(_) => bags::bag(arguments.iter(), arguments.len()),
                _ => bags::union(arguments.iter(), fuel),
            }
        }
        _ => {
            let mut known = [Argument::Bag(&[]); FIXED_MAX];
            let (mut count, mut weight) = (0_usize, 0_u64);
            for (slot, argument) in known.iter_mut().zip(arguments.iter()) {
                *slot = argument?;
                weight = weight.saturating_add(slot.weight());
                count = count.saturating_add(1);
            }
            fuel.pay(weight)?;
            match known.get(..count).filter(|_| count == arguments.len()) {
                Some(known) => fixed(function, known, arguments.pattern(), fuel),
                None => Err(mistyped()),
            }
        }
    }
}

/// `and` stops at false, `or` at true; a failure elsewhere does not change what is then known.
fn logical<'a>(stops_at: bool, arguments: Arguments<'_, 'a>) -> Outcome<'a> {
    let mut failure = None;
    for argument in arguments.iter() {
        match argument {
            Ok(Argument::One(Value::Boolean(value))) if *value == stops_at => return Ok(Operand::boolean(stops_at)),
            Ok(_) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(Operand::boolean(!stops_at)), Err)
}

fn at_least<'a>(arguments: Arguments<'_, 'a>) -> Outcome<'a> {
    let Argument::One(Value::Integer(count)) = arguments.at(0)? else { return Err(mistyped()) };
    let (mut met, mut failed, mut first) = (0_i128, 0_i128, None);
    for argument in arguments.iter().skip(1) {
        match argument {
            Ok(Argument::One(Value::Boolean(true))) => met = met.saturating_add(1),
            Ok(_) => {}
            Err(failure) => {
                failed = failed.saturating_add(1);
                first = first.or(Some(failure));
            }
        }
    }
    if *count <= met {
        return Ok(Operand::boolean(true));
    }
    if *count > i128::try_from(arguments.len().saturating_sub(1)).unwrap_or(0) {
        return Err(Failure::processing("`n-of` asks for more than it is given"));
    }
    match first {
        Some(failure) if met.saturating_add(failed) >= *count => Err(failure),
        _ => Ok(Operand::boolean(false)),
    }
}

/// Functions of a fixed number of arguments.
fn fixed<'a>(
    function: Function,
    arguments: &[Argument<'_>],
    pattern: Option<&Pattern>,
    fuel: &mut Fuel,
) -> Outcome<'a> {
    use Argument::{Bag, One};
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
        (Function::FromString(kind), [One(String(text))]) => {
            Value::parse(kind, text).map_err(|error| Failure::told(StatusCode::SyntaxError, error.to_string()))?
        }
        (Function::ToString(_), [One(value)]) => String(value.to_string().into()),
        (Function::StartsWith(_), [One(String(a)), One(String(b) | AnyUri(b))]) => Value::Boolean(b.starts_with(&**a)),
        (Function::EndsWith(_), [One(String(a)), One(String(b) | AnyUri(b))]) => Value::Boolean(b.ends_with(&**a)),
        (Function::Contains(_), [One(String(a)), One(String(b) | AnyUri(b))]) => Value::Boolean(b.contains(&**a)),
        (Function::Substring(_), [One(String(text) | AnyUri(text)), One(Integer(from)), One(Integer(to))]) => {
            String(substring(text, *from, *to)?)
        }
        (Function::RegexpMatch(_), [One(String(written)), One(value)]) => {
            let text = value.text().ok_or_else(mistyped)?;
            Value::Boolean(match pattern {
                Some(pattern) => pattern.is_match(text, fuel)?,
                None => Pattern::read_for(written, fuel)?.is_match(text, fuel)?,
            })
        }
        (Function::X500Match, [One(Value::X500Name(end)), One(Value::X500Name(name))]) => {
            Value::Boolean(end.ends(name))
        }
        (Function::Rfc822Match, [One(String(pattern)), One(Value::Rfc822Name(name))]) => {
            Value::Boolean(name.is_covered_by(pattern))
        }
        (Function::OneAndOnly(_), [Bag([value])]) => (*value).clone(),
        (Function::OneAndOnly(_), [Bag(values)]) => return Err(Failure::NotOne(values.len())),
        (_, arguments) => return bags::fixed(function, arguments, fuel),
    };
    Ok(Operand::One(answer))
}

/// Adds or multiplies.
fn fold<'a>(function: Function, arguments: Arguments<'_, 'a>) -> Result<Value, Failure<'a>> {
    let adds = matches!(function, Function::Add(_));
    let mut result: Option<Value> = None;
    for argument in arguments.iter() {
        let Argument::One(value) = argument? else { return Err(mistyped()) };
        result = Some(match (&result, value) {
            (None, first) => first.clone(),
            (Some(Value::Integer(a)), Value::Integer(b)) if adds => Value::Integer(fits(a.checked_add(*b))?),
            (Some(Value::Integer(a)), Value::Integer(b)) => Value::Integer(fits(a.checked_mul(*b))?),
            (Some(Value::Double(a)), Value::Double(b)) if adds => Value::Double(a + b),
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a * b),
            _ => return Err(mistyped()),
        });
    }
    result.ok_or_else(mistyped)
}

fn moved(to: &Value, duration: &Value, subtract: bool) -> Option<Value> {
    Some(match (to, duration) {
        (Value::DateTime(to), Value::DayTimeDuration(by)) => Value::DateTime(to.plus_day_time(*by, subtract)?),
        (Value::DateTime(to), Value::YearMonthDuration(by)) => Value::DateTime(to.plus_year_month(*by, subtract)?),
        (Value::Date(to), Value::YearMonthDuration(by)) => Value::Date(to.plus_year_month(*by, subtract)?),
        _ => return None,
    })
}

fn joined<'a>(arguments: Arguments<'_, 'a>) -> Result<Arc<str>, Failure<'a>> {
    let mut text = String::new();
    for argument in arguments.iter() {
        if let Argument::One(Value::String(part) | Value::AnyUri(part)) = argument? {
            if text.len().saturating_add(part.len()) > TEXT_BYTES_MAX {
                return Err(Failure::processing("a text longer than allowed"));
            }
            text.push_str(part);
        }
    }
    Ok(text.into())
}

/// The characters from one position up to before another; -1 means the end.
fn substring<'a>(text: &str, from: i128, to: i128) -> Result<Arc<str>, Failure<'a>> {
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

fn fits<'a, T>(result: Option<T>) -> Result<T, Failure<'a>> {
    result.ok_or_else(|| Failure::processing("a result outside the values of its type"))
}

fn by_zero<'a>() -> Failure<'a> {
    Failure::processing("division by zero")
}

/// Never happens to what was typed; were it to, nothing would be permitted by it.
pub(super) fn mistyped<'a>() -> Failure<'a> {
    Failure::processing("a function was given what it does not take")
}
