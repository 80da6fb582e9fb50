//! Regular expressions of XPath 2.0 (which are XML Schema's, with anchors), matched in linear time and paid for step by step.
//!
//! A pattern is read once to a program over characters ([`read`]), and run by following all of its ways at once ([`run`]): so
//! no pattern takes longer than its length times the text's. What XPath does not have is refused, so a pattern never means
//! something else than its author wrote. Not here: back references, which cannot be matched so; they are refused.

mod categories;
mod class;
mod read;
mod run;

use std::sync::Arc;

use super::Fuel;
use crate::xacml::evaluate::Failure;
use crate::xacml::response::StatusCode;
use class::Class;
pub(crate) use run::Threads;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4_096;
/// Longest program of a pattern, in steps: counted repetitions are written out.
const STEPS_MAX: usize = 8_192;
/// Deepest nesting of groups.
const GROUPS_DEPTH_MAX: usize = 64;
/// Deepest nesting of classes that are taken from classes.
const CLASSES_DEPTH_MAX: usize = 9;
/// What reading a pattern costs in fuel, at least and for each of its bytes: few bytes may stand for much.
const FUEL_PER_PATTERN: u64 = 1_000;
const FUEL_PER_PATTERN_BYTE: u64 = 32;

/// A pattern, ready to match. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Arc<Machine>);

/// The program of a pattern.
#[derive(Debug, Default)]
struct Machine {
    steps: Vec<Step>,
    classes: Vec<Class>,
}

/// What one way through the pattern does next. Other steps are told by how far off they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The next character is this one.
    Letter(char),
    /// The next character is in the class at this position.
    Class(u32),
    /// At the beginning of the text.
    Start,
    /// At the end of the text.
    End,
    /// Goes on elsewhere.
    Jump(i32),
    /// Goes on here and elsewhere.
    Fork(i32),
    /// The pattern matches.
    Match,
}

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn read(pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
        }
        let machine = read::read(pattern).map_err(|what| format!("the pattern `{pattern}` {what}"))?;
        Ok(Self(Arc::new(machine)))
    }

    /// Reads a pattern that is known only now, and pays for that.
    pub(crate) fn read_for<'a>(pattern: &str, fuel: &mut Fuel) -> Result<Self, Failure<'a>> {
        let bytes = u64::try_from(pattern.len()).unwrap_or(u64::MAX);
        fuel.pay(bytes.saturating_mul(FUEL_PER_PATTERN_BYTE).saturating_add(FUEL_PER_PATTERN))?;
        Self::read(pattern).map_err(|message| Failure::told(StatusCode::ProcessingError, message))
    }

    /// Whether some part of the text matches.
    pub(crate) fn is_match<'a>(&self, text: &str, fuel: &mut Fuel) -> Result<bool, Failure<'a>> {
        Ok(run::is_match(&self.0, text, fuel)?)
    }
}

#[cfg(test)]
mod tests;
