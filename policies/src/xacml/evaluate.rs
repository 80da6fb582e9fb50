//! Runs a [`Program`] over the attributes of a decision: bounded by fuel, without recursion.
//!
//! Here are expressions and targets: a stack machine whose stack holds operands and failures alike. Rules, policies and
//! sets are in [`policies`].

mod policies;

use std::sync::Arc;

use super::functions::{Fuel, apply, apply_over_bags};
use super::program::{Designator, Instruction, Match, Program, Span, at};
use super::request::Context;
use super::response::{MissingAttribute, StatusCode};
use super::value::Value;

pub(crate) use policies::decide;

/// Why an expression, a rule or a policy has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: StatusCode,
    pub(crate) message: String,
    pub(crate) missing: Option<Box<MissingAttribute>>,
}

/// What an expression gives.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    One(Value),
    Bag(Arc<[Value]>),
}

pub(crate) type Outcome = Result<Operand, Failure>;

impl Failure {
    pub(crate) fn processing(message: impl Into<String>) -> Self {
        Self { code: StatusCode::ProcessingError, message: message.into(), missing: None }
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self { code: StatusCode::SyntaxError, message: message.into(), missing: None }
    }

    /// A position that the compiler did not give out. Never happens; were it to, nothing would be permitted by it.
    fn out_of_table() -> Self {
        Self::processing("the compiled policy is damaged")
    }
}

impl Operand {
    /// How much work it is to look at.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::One(value) => value.weight(),
            Self::Bag(values) => values.iter().map(Value::weight).fold(1, u64::saturating_add),
        }
    }

    fn is_true(&self) -> bool {
        matches!(self, Self::One(Value::Boolean(true)))
    }
}

/// One decision being made.
struct Evaluation<'a> {
    program: &'a Program,
    context: &'a Context,
    fuel: Fuel,
    /// What each designator selects, once it is known.
    attributes: Vec<Option<Outcome>>,
    /// What each variable is, once it is known.
    variables: Vec<Option<Outcome>>,
}

/// Code that is being run.
struct Call {
    next: u32,
    end: u32,
    /// The variable whose value it computes.
    variable: Option<u32>,
}

impl<'a> Evaluation<'a> {
    fn new(program: &'a Program, context: &'a Context, fuel: Fuel) -> Self {
        Self {
            program,
            context,
            fuel,
            attributes: vec![None; program.designators.len()],
            variables: vec![None; program.variables.len()],
        }
    }

    /// Runs the code of an expression.
    fn expression(&mut self, code: Span) -> Outcome {
        let mut stack: Vec<Outcome> = Vec::new();
        let mut calls = vec![Call { next: code.start, end: code.end, variable: None }];
        while let Some(call) = calls.last_mut() {
            if call.next >= call.end {
                if let Some(variable) = call.variable {
                    let value = stack.last().cloned().unwrap_or_else(|| Err(Failure::out_of_table()));
                    self.remember(variable, value);
                }
                calls.pop();
                continue;
            }
            let instruction = at(&self.program.code, call.next).copied().ok_or_else(Failure::out_of_table)?;
            call.next = call.next.saturating_add(1);
            self.fuel.pay(1)?;
            match instruction {
                Instruction::Literal(position) => {
                    stack.push(Ok(Operand::One(self.literal(position)?.clone())));
                }
                Instruction::Attribute(position) => {
                    let found = self.attribute(position);
                    stack.push(found);
                }
                Instruction::Variable(position) => {
                    match self.variables.get(usize::try_from(position).unwrap_or(usize::MAX)) {
                        Some(Some(known)) => stack.push(known.clone()),
                        _ => {
                            let code = at(&self.program.variables, position).ok_or_else(Failure::out_of_table)?;
                            calls.push(Call { next: code.start, end: code.end, variable: Some(position) });
                        }
                    }
                }
                Instruction::Call { function, arguments } => {
                    let arguments = take(&mut stack, arguments)?;
                    stack.push(apply(function, &arguments, &mut self.fuel));
                }
                Instruction::CallOver { kind, function, arguments } => {
                    let arguments = take(&mut stack, arguments)?;
                    stack.push(apply_over_bags(kind, function, &arguments, &mut self.fuel));
                }
                Instruction::StopAt { value, below, skip } => {
                    let stops =
                        matches!(stack.last(), Some(Ok(Operand::One(Value::Boolean(found)))) if *found == value);
                    if stops {
                        let known = stack.pop().ok_or_else(Failure::out_of_table)?;
                        take(&mut stack, below)?;
                        stack.push(known);
                        call.next = call.next.saturating_add(skip);
                    }
                }
            }
        }
        stack.pop().unwrap_or_else(|| Err(Failure::out_of_table()))
    }

    /// Whether a target matches. A failure means that it cannot be known.
    fn target(&mut self, any_ofs: Span) -> Result<bool, Failure> {
        let program = self.program;
        let mut failure = None;
        for any_of in any_ofs.of(&program.any_ofs) {
            match self.any_of(any_of.of(&program.all_ofs)) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(true), Err)
    }

    fn any_of(&mut self, all_ofs: &[Span]) -> Result<bool, Failure> {
        let program = self.program;
        let mut failure = None;
        for all_of in all_ofs {
            match self.all_of(all_of.of(&program.matches)) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    fn all_of(&mut self, matches: &[Match]) -> Result<bool, Failure> {
        let mut failure = None;
        for one in matches {
            match self.matching(one) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(true), Err)
    }

    /// Whether the function holds for some value of the attribute.
    fn matching(&mut self, one: &Match) -> Result<bool, Failure> {
        self.fuel.pay(1)?;
        let literal = Ok(Operand::One(self.literal(one.literal)?.clone()));
        let Operand::Bag(values) = self.attribute(one.designator)? else { return Err(Failure::out_of_table()) };
        let mut failure = None;
        for value in values.iter() {
            match apply(one.function, &[literal.clone(), Ok(Operand::One(value.clone()))], &mut self.fuel) {
                Ok(answer) if answer.is_true() => return Ok(true),
                Ok(_) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    fn literal(&self, position: u32) -> Result<&'a Value, Failure> {
        at(&self.program.literals, position).ok_or_else(Failure::out_of_table)
    }

    /// What a designator selects: looked for once.
    fn attribute(&mut self, position: u32) -> Outcome {
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        if let Some(Some(known)) = self.attributes.get(index) {
            return known.clone();
        }
        let designator = at(&self.program.designators, position).ok_or_else(Failure::out_of_table)?;
        let found = self.select(designator);
        if let Some(slot) = self.attributes.get_mut(index) {
            *slot = Some(found.clone());
        }
        found
    }

    fn select(&mut self, designator: &Designator) -> Outcome {
        let Designator { category, id, data_type, issuer, must_be_present } = designator;
        let found = self.context.select(category, id, *data_type, issuer.as_deref());
        self.fuel.pay(found.weight())?;
        match &found {
            Operand::Bag(values) if values.is_empty() && *must_be_present => Err(Failure {
                code: StatusCode::MissingAttribute,
                message: format!("attribute `{id}` of `{category}` is missing"),
                missing: Some(Box::new(MissingAttribute {
                    category: category.clone(),
                    id: id.clone(),
                    data_type: data_type.uri().to_owned(),
                    issuer: issuer.clone(),
                })),
            }),
            _ => Ok(found),
        }
    }

    fn remember(&mut self, variable: u32, value: Outcome) {
        let index = usize::try_from(variable).unwrap_or(usize::MAX);
        if let Some(slot) = self.variables.get_mut(index) {
            *slot = Some(value);
        }
    }
}

/// The topmost operands, in the order in which they were pushed.
fn take(stack: &mut Vec<Outcome>, count: u32) -> Result<Vec<Outcome>, Failure> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let from = stack.len().checked_sub(count).ok_or_else(Failure::out_of_table)?;
    Ok(stack.split_off(from))
}

#[cfg(test)]
mod tests;
