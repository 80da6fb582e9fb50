//! A compiled policy as bytes: how it travels in a snapshot, and the only way in which one is made ready to run.
//!
//! Little more than the policy's tree, in its order: what a byte sequence cannot say (jumps, spans, a stack that underflows,
//! a circle) cannot be wrong in it. Whatever else can be wrong is checked once, here: positions, types and numbers of
//! arguments, values, limits, text, and that nothing is left over. What is read is written again as the same bytes.
//!
//! ```text
//! format    1 byte, FORMAT
//! semantics 1 byte, STANDARD or ALTINN
//! strings   number, then each as length and UTF-8; ascending, all of them used
//! the rest  `standard` or `altinn`
//! ```
//!
//! A *number* is unsigned, seven bits to a byte, the low ones first, the eighth bit set on all but the last; at most 32 bits
//! and never longer than needed. Functions, data types and algorithms are written with numbers of tables
//! (`functions/table.rs`, `value.rs`, `combine.rs`) that tests pin.

mod altinn;
mod bytes;
mod expression;
mod standard;

use super::Form;
use bytes::{Reader, Writer};

/// The format that is written and read.
const FORMAT: u8 = 1;
const STANDARD: u8 = 1;
const ALTINN: u8 = 2;

/// Longest compiled policy, in bytes. Every list in it is shorter than this, too: an entry has at least one byte.
pub const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Most different texts.
const STRINGS_MAX: usize = 1 << 16;
/// Most different attributes that one policy asks for; a decision has room for each.
const DESIGNATORS_MAX: usize = 4_096;
/// Most different constants.
const LITERALS_MAX: usize = 1 << 16;
/// Most variables; a decision has room for each.
const VARIABLES_MAX: usize = 1 << 14;
/// Most steps of all expressions together, and so of operands that ever wait for a function.
const INSTRUCTIONS_MAX: usize = 1 << 17;
/// Deepest nesting of functions. Policies come as XML, which is not deeper.
const EXPRESSION_DEPTH_MAX: usize = super::XML_DEPTH_MAX;
/// Most policies and sets.
const NODES_MAX: usize = 1 << 14;
/// Most rules.
const RULES_MAX: usize = 1 << 16;
/// Most visits that a decision makes when every policy is looked at wherever it is referred to.
const VISITS_MAX: u64 = 1 << 20;
/// Most different patterns that are made ready before they are needed; further ones are read at every use, which is paid for.
const PATTERNS_MAX: usize = 64;

/// Why bytes are not a compiled policy that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the compiled policy is not as it should be: {what}")]
pub struct ProgramError {
    /// The part that is wrong.
    pub what: &'static str,
}

impl ProgramError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        "policy_program_invalid"
    }
}

type Result<T> = std::result::Result<T, ProgramError>;

/// Writes a compiled policy.
pub(super) fn write(form: &Form) -> Vec<u8> {
    let mut writer = Writer::collecting();
    write_form(form, &mut writer);
    let mut writer = writer.with_strings();
    write_form(form, &mut writer);
    let mut bytes = vec![FORMAT, if matches!(form, Form::Standard(_)) { STANDARD } else { ALTINN }];
    bytes.extend(writer.finish());
    bytes
}

fn write_form(form: &Form, writer: &mut Writer) {
    match form {
        Form::Standard(program) => standard::write(program, writer),
        Form::Altinn(policy) => altinn::write(policy, writer),
    }
}

/// Reads a compiled policy and makes it ready to run.
pub(super) fn read(bytes: &[u8]) -> Result<Form> {
    if bytes.len() > PROGRAM_BYTES_MAX {
        return wrong("its length");
    }
    let Some(([FORMAT, semantics], rest)) = bytes.split_first_chunk() else { return wrong("its format") };
    let mut reader = Reader::new(rest)?;
    let form = match *semantics {
        STANDARD => Form::Standard(Box::new(standard::read(&mut reader)?)),
        ALTINN => Form::Altinn(altinn::read(&mut reader)?),
        _ => return wrong("its semantics"),
    };
    reader.finish()?;
    Ok(form)
}

fn wrong<T>(what: &'static str) -> Result<T> {
    Err(ProgramError { what })
}

#[cfg(test)]
mod tests;
