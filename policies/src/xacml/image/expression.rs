//! Expressions. Each function comes before its arguments, so that there are always as many as it takes.
//!
//! ```text
//! LITERAL position | ATTRIBUTE position | VARIABLE position
//! CALL function, number of arguments, arguments
//! OVER higher-order function, function, number of arguments, arguments
//! ```
//!
//! Reading checks the types and puts in where `and` and `or` may stop.

use std::collections::BTreeSet;

use super::bytes::{Reader, Writer};
use super::{EXPRESSION_DEPTH_MAX, INSTRUCTIONS_MAX, ProgramError, Result, wrong};
use crate::xacml::functions::{Function, HigherOrder, Type};
use crate::xacml::program::{Instruction, Program, Span, at, position};
use crate::xacml::value::DataType;

const LITERAL: u8 = 0;
const ATTRIBUTE: u8 = 1;
const VARIABLE: u8 = 2;
const CALL: u8 = 3;
const OVER: u8 = 4;

/// Writes the code of an expression.
pub(super) fn write(code: &[Instruction], writer: &mut Writer) {
    // Of each instruction the positions of its arguments, taken from a stack as they would be when it is run.
    let mut waiting: Vec<usize> = Vec::new();
    let mut arguments: Vec<Vec<usize>> = Vec::with_capacity(code.len());
    for (index, instruction) in code.iter().enumerate() {
        arguments.push(match instruction {
            Instruction::StopAt { .. } => Vec::new(),
            Instruction::Call { arguments, .. } | Instruction::CallOver { arguments, .. } => {
                let count = usize::try_from(*arguments).unwrap_or(usize::MAX);
                waiting.split_off(waiting.len().saturating_sub(count))
            }
            _ => Vec::new(),
        });
        if !matches!(instruction, Instruction::StopAt { .. }) {
            waiting.push(index);
        }
    }
    while let Some(index) = waiting.pop() {
        if let Some(instruction) = code.get(index) {
            write_instruction(*instruction, writer);
        }
        waiting.extend(arguments.get(index).into_iter().flatten().rev());
    }
}

fn write_instruction(instruction: Instruction, writer: &mut Writer) {
    let leaf = |writer: &mut Writer, kind, position| {
        writer.byte(kind);
        writer.number(position);
    };
    match instruction {
        Instruction::Literal(position) => leaf(writer, LITERAL, position),
        Instruction::Attribute(position) => leaf(writer, ATTRIBUTE, position),
        Instruction::Variable(position) => leaf(writer, VARIABLE, position),
        Instruction::Call { function, arguments } => {
            writer.byte(CALL);
            write_function(function, writer);
            writer.number(arguments);
        }
        Instruction::CallOver { kind, function, arguments } => {
            writer.byte(OVER);
            writer.byte(kind.number());
            write_function(function, writer);
            writer.number(arguments);
        }
        Instruction::StopAt { .. } => {}
    }
}

pub(super) fn write_function(function: Function, writer: &mut Writer) {
    let (number, kind) = function.number();
    writer.byte(number);
    if let Some(kind) = kind {
        writer.byte(kind.number());
    }
}

pub(super) fn read_function(reader: &mut Reader<'_>) -> Result<Function> {
    let number = reader.byte()?;
    let kind = if Function::has_type(number) { Some(read_type(reader)?) } else { None };
    Function::from_number(number, kind).ok_or(ProgramError { what: "the number of a function" })
}

pub(super) fn read_type(reader: &mut Reader<'_>) -> Result<DataType> {
    DataType::from_number(reader.byte()?).ok_or(ProgramError { what: "the number of a data type" })
}

/// What expressions of a program are read with.
#[derive(Default)]
pub(super) struct Expressions {
    /// Types of the variables read so far.
    pub(super) variables: Vec<Type>,
    /// Literals that are used as patterns.
    pub(super) patterns: BTreeSet<u32>,
}

/// A function whose arguments are being read.
struct Open {
    kind: Option<HigherOrder>,
    function: Function,
    count: usize,
    types: Vec<Type>,
    /// The literal that is its first argument.
    first: Option<u32>,
    /// Where it may stop.
    stops: Vec<usize>,
}

impl Expressions {
    /// Reads an expression to the end of the program's code.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, program: &mut Program) -> Result<(Span, Type)> {
        let start = position(program.code.len());
        let mut open: Vec<Open> = Vec::new();
        loop {
            if let Some(parent) = open.last_mut() {
                parent.may_stop(program)?;
            }
            let (mut kind, mut literal) = match reader.byte()? {
                LITERAL => {
                    let at_literal = reader.position(program.literals.len(), "the position of a literal")?;
                    push(program, Instruction::Literal(at_literal))?;
                    let value = at(&program.literals, at_literal).map(|literal| literal.value.data_type());
                    (Type::One(value.ok_or(ProgramError { what: "the position of a literal" })?), Some(at_literal))
                }
                ATTRIBUTE => {
                    let what = "the position of a designator";
                    let at_designator = reader.position(program.designators.len(), what)?;
                    push(program, Instruction::Attribute(at_designator))?;
                    let data_type = at(&program.designators, at_designator).map(|designator| designator.data_type);
                    (Type::Bag(data_type.ok_or(ProgramError { what })?), None)
                }
                VARIABLE => {
                    // Only those before it, so that there is no circle.
                    let what = "the position of a variable";
                    let at_variable = reader.position(self.variables.len(), what)?;
                    push(program, Instruction::Variable(at_variable))?;
                    (*at(&self.variables, at_variable).ok_or(ProgramError { what })?, None)
                }
                byte @ (CALL | OVER) => {
                    let call = Open::read(byte == OVER, reader)?;
                    if call.count > 0 {
                        open.push(call);
                        if open.len() > EXPRESSION_DEPTH_MAX {
                            return wrong("the depth of an expression");
                        }
                        continue;
                    }
                    (self.close(call, program)?, None)
                }
                _ => return wrong("an instruction"),
            };
            loop {
                let Some(parent) = open.last_mut() else {
                    return Ok((Span { start, end: position(program.code.len()) }, kind));
                };
                if parent.types.is_empty() {
                    parent.first = literal;
                }
                parent.types.push(kind);
                if parent.types.len() < parent.count {
                    break;
                }
                let Some(complete) = open.pop() else { break };
                (kind, literal) = (self.close(complete, program)?, None);
            }
        }
    }

    /// Checks a function whose arguments are all there, and gives its type.
    fn close(&mut self, call: Open, program: &mut Program) -> Result<Type> {
        let Open { kind, function, types, first, stops, .. } = call;
        let signature = function.signature();
        let arguments = position(types.len());
        let returns = match kind {
            None if signature.misfit(&types).is_some() => return wrong("the arguments of a function"),
            None => signature.returns,
            Some(kind) => kind
                .returns(&signature, &types)
                .map_err(|_| ProgramError { what: "the arguments of a higher-order function" })?,
        };
        if let (Function::RegexpMatch(_), Some(literal)) = (function, first) {
            self.patterns.insert(literal);
        }
        let end = program.code.len();
        push(
            program,
            match kind {
                None => Instruction::Call { function, arguments },
                Some(kind) => Instruction::CallOver { kind, function, arguments },
            },
        )?;
        for at_stop in stops {
            if let Some(Instruction::StopAt { skip, .. }) = program.code.get_mut(at_stop) {
                *skip = position(end.saturating_sub(at_stop));
            }
        }
        Ok(returns)
    }
}

impl Open {
    fn read(over: bool, reader: &mut Reader<'_>) -> Result<Self> {
        let kind = if over {
            let known = HigherOrder::from_number(reader.byte()?);
            Some(known.ok_or(ProgramError { what: "the number of a higher-order function" })?)
        } else {
            None
        };
        let function = read_function(reader)?;
        let count = reader.count(usize::MAX, "the number of arguments")?;
        Ok(Self { kind, function, count, types: Vec::new(), first: None, stops: Vec::new() })
    }

    /// After an argument and before the next, `and` and `or` may know enough.
    fn may_stop(&mut self, program: &mut Program) -> Result<()> {
        let value = match (self.kind, self.function) {
            (None, Function::And) => false,
            (None, Function::Or) => true,
            _ => return Ok(()),
        };
        let Some(below) = self.types.len().checked_sub(1) else { return Ok(()) };
        self.stops.push(program.code.len());
        push(program, Instruction::StopAt { value, below: position(below), skip: 0 })
    }
}

fn push(program: &mut Program, instruction: Instruction) -> Result<()> {
    if program.code.len() >= INSTRUCTIONS_MAX {
        return wrong("the number of steps");
    }
    program.code.push(instruction);
    Ok(())
}
