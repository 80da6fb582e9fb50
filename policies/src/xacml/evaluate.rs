//! Runs a [`Program`] over the attributes of a decision: bounded by fuel, without recursion.
//!
//! Here are expressions and targets: a stack machine whose stack holds operands and failures alike. Its room is taken once
//! for a decision; a step copies no text and no bag, and a failure becomes words only when it is answered. Rules, policies
//! and sets are in [`policies`].

mod attributes;
mod policies;

use std::sync::Arc;

use super::functions::{Argument, Arguments, Fuel, Function, apply, apply_over_bags};
use super::program::{Designator, Instruction, Literal, Match, Program, Span, at};
use super::response::{MissingAttribute, Status, StatusCode};
use super::value::Value;
pub(crate) use attributes::Attributes;
use attributes::Selected;

pub(crate) use policies::decide;

/// Why an expression, a rule or a policy has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure<'a> {
    /// What can be said without looking.
    Said(StatusCode, &'static str),
    /// A bag of so many values where one is expected.
    NotOne(usize),
    /// An attribute that must be there is not.
    Missing(&'a Designator),
    /// What had to be written.
    Told(Arc<Status>),
}

/// What an expression gives.
#[derive(Debug, Clone)]
pub(crate) enum Operand<'a> {
    /// A constant of the policy.
    Literal(&'a Literal),
    /// A value that was computed.
    One(Value),
    /// A bag of the request.
    Given(&'a [Value]),
    /// A bag that was computed.
    Bag(Arc<[Value]>),
}

pub(crate) type Outcome<'a> = Result<Operand<'a>, Failure<'a>>;

impl<'a> Failure<'a> {
    pub(crate) fn processing(message: &'static str) -> Self {
        Self::Said(StatusCode::ProcessingError, message)
    }

    /// With a message that depends on what was given.
    pub(crate) fn told(code: StatusCode, message: String) -> Self {
        Self::Told(Arc::new(Status { code, message: Some(message), missing: None }))
    }

    /// An attribute that must be there is not.
    pub(crate) fn missing(missing: MissingAttribute) -> Self {
        let message = format!("attribute `{}` of `{}` is missing", missing.id, missing.category);
        let code = StatusCode::MissingAttribute;
        Self::Told(Arc::new(Status { code, message: Some(message), missing: Some(Box::new(missing)) }))
    }

    /// The code of the answer.
    pub(crate) fn code(&self) -> StatusCode {
        match self {
            Self::Said(code, _) => *code,
            Self::NotOne(_) => StatusCode::ProcessingError,
            Self::Missing(_) => StatusCode::MissingAttribute,
            Self::Told(status) => status.code,
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> Status {
        let said = |code, message: String| Status { code, message: Some(message), missing: None };
        match self {
            Self::Said(code, message) => said(*code, (*message).to_owned()),
            Self::NotOne(count) => {
                said(StatusCode::ProcessingError, format!("a bag of {count} values where one is expected"))
            }
            Self::Missing(Designator { category, id, data_type, issuer, .. }) => Self::missing(MissingAttribute {
                category: category.to_string(),
                id: id.to_string(),
                data_type: data_type.uri().to_owned(),
                issuer: issuer.as_deref().map(str::to_owned),
            })
            .status(),
            Self::Told(status) => Status::clone(status),
        }
    }

    /// A position that is not there. Never happens; were it to, nothing would be permitted by it.
    fn out_of_table() -> Self {
        Self::processing("the compiled policy is damaged")
    }
}

impl Operand<'_> {
    pub(crate) fn boolean(value: bool) -> Self {
        Self::One(Value::Boolean(value))
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self.as_argument(), Argument::One(Value::Boolean(true)))
    }

    /// As functions look at it.
    pub(crate) fn as_argument(&self) -> Argument<'_> {
        match self {
            Self::Literal(literal) => Argument::One(&literal.value),
            Self::One(value) => Argument::One(value),
            Self::Given(values) => Argument::Bag(values),
            Self::Bag(values) => Argument::Bag(values),
        }
    }
}

/// One decision being made.
struct Evaluation<'a> {
    program: &'a Program,
    attributes: &'a Attributes<'a>,
    fuel: Fuel,
    /// What each designator selects, once it is known.
    selected: Vec<Option<Result<Selected<'a>, Failure<'a>>>>,
    /// What each variable is, once it is known.
    variables: Vec<Option<Outcome<'a>>>,
    /// Operands of the expression that is being run.
    stack: Vec<Outcome<'a>>,
    /// Code of the expression and of the variables that it waits for.
    calls: Vec<Call>,
    /// Room for higher-order functions to count in.
    positions: Vec<usize>,
}

/// Code that is being run.
struct Call {
    next: u32,
    end: u32,
    /// The variable whose value it computes.
    variable: Option<u32>,
}

impl<'a> Evaluation<'a> {
    fn new(program: &'a Program, attributes: &'a Attributes<'a>, fuel: Fuel) -> Self {
        Self {
            program,
            attributes,
            fuel,
            selected: vec![None; program.designators.len()],
            variables: vec![None; program.variables.len()],
            stack: Vec::new(),
            calls: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// Runs the code of an expression.
    fn expression(&mut self, code: Span) -> Outcome<'a> {
        let program = self.program;
        self.stack.clear();
        self.calls.clear();
        self.calls.push(Call { next: code.start, end: code.end, variable: None });
        while let Some(call) = self.calls.last_mut() {
            if call.next >= call.end {
                if let Some(variable) = call.variable {
                    self.remember(variable);
                }
                self.calls.pop();
                continue;
            }
            let instruction = at(&program.code, call.next).copied().ok_or_else(Failure::out_of_table)?;
            call.next = call.next.saturating_add(1);
            self.fuel.pay(1)?;
            match instruction {
                Instruction::Literal(position) => self.stack.push(Ok(Operand::Literal(self.literal(position)?))),
                Instruction::Attribute(position) => {
                    let found = self.attribute(position);
                    self.stack.push(found);
                }
                Instruction::Variable(position) => match at(&self.variables, position) {
                    Some(Some(known)) => self.stack.push(known.clone()),
                    _ => {
                        let code = at(&program.variables, position).ok_or_else(Failure::out_of_table)?;
                        self.calls.push(Call { next: code.start, end: code.end, variable: Some(position) });
                    }
                },
                Instruction::Call { function, arguments } => {
                    let from = below(&self.stack, arguments)?;
                    let operands = self.stack.get(from..).ok_or_else(Failure::out_of_table)?;
                    let answer = apply(function, Arguments::Stacked(operands), &mut self.fuel);
                    self.stack.truncate(from);
                    self.stack.push(answer);
                }
                Instruction::CallOver { kind, function, arguments } => {
                    let from = below(&self.stack, arguments)?;
                    let operands = self.stack.get(from..).ok_or_else(Failure::out_of_table)?;
                    let answer = apply_over_bags(kind, function, operands, &mut self.positions, &mut self.fuel);
                    self.stack.truncate(from);
                    self.stack.push(answer);
                }
                Instruction::StopAt { value, below: operands, skip } => {
                    let top = self.stack.last().map(|outcome| outcome.as_ref().map(Operand::as_argument));
                    if matches!(top, Some(Ok(Argument::One(Value::Boolean(found)))) if *found == value) {
                        let from = below(&self.stack, operands.saturating_add(1))?;
                        self.stack.truncate(from);
                        self.stack.push(Ok(Operand::boolean(value)));
                        call.next = call.next.saturating_add(skip);
                    }
                }
            }
        }
        self.stack.pop().unwrap_or_else(|| Err(Failure::out_of_table()))
    }

    /// Whether a target matches. A failure means that it cannot be known.
    fn target(&mut self, any_ofs: Span) -> Result<bool, Failure<'a>> {
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

    fn any_of(&mut self, all_ofs: &[Span]) -> Result<bool, Failure<'a>> {
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

    fn all_of(&mut self, matches: &[Match]) -> Result<bool, Failure<'a>> {
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
    fn matching(&mut self, one: &Match) -> Result<bool, Failure<'a>> {
        self.fuel.pay(1)?;
        let literal = self.literal(one.literal)?;
        self.look_for(one.designator)?;
        let selected = match at(&self.selected, one.designator) {
            Some(Some(Ok(selected))) => selected.values(),
            Some(Some(Err(failure))) => return Err(failure.clone()),
            _ => return Err(Failure::out_of_table()),
        };
        if let Function::Equal(_) = one.function {
            // What almost every match is, at the price of a call without the call.
            let weight = literal.value.weight().saturating_add(1);
            for value in selected {
                self.fuel.pay(weight.saturating_add(value.weight()))?;
                if literal.value.equals(value) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let mut failure = None;
        for value in selected {
            match apply(one.function, Arguments::Matched(literal, value), &mut self.fuel) {
                Ok(answer) if answer.is_true() => return Ok(true),
                Ok(_) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    fn literal(&self, position: u32) -> Result<&'a Literal, Failure<'a>> {
        at(&self.program.literals, position).ok_or_else(Failure::out_of_table)
    }

    /// What a designator selects.
    fn attribute(&mut self, position: u32) -> Outcome<'a> {
        self.look_for(position)?;
        match at(&self.selected, position) {
            Some(Some(Ok(Selected::Given(values)))) => Ok(Operand::Given(values)),
            Some(Some(Ok(Selected::OfIssuer(values)))) => Ok(Operand::Bag(Arc::clone(values))),
            Some(Some(Err(failure))) => Err(failure.clone()),
            _ => Err(Failure::out_of_table()),
        }
    }

    /// Looks for what a designator selects, once.
    fn look_for(&mut self, position: u32) -> Result<(), Failure<'a>> {
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        let slot = self.selected.get_mut(index).ok_or_else(Failure::out_of_table)?;
        if slot.is_none() {
            let designator = at(&self.program.designators, position).ok_or_else(Failure::out_of_table)?;
            let selected = self.attributes.select(designator, &mut self.fuel)?;
            let is_missing = selected.values().is_empty() && designator.must_be_present;
            *slot = Some(if is_missing { Err(Failure::Missing(designator)) } else { Ok(selected) });
        }
        Ok(())
    }

    /// Keeps what is on top of the stack as the value of a variable.
    fn remember(&mut self, variable: u32) {
        let value = self.stack.last().cloned().unwrap_or_else(|| Err(Failure::out_of_table()));
        if let Some(slot) = self.variables.get_mut(usize::try_from(variable).unwrap_or(usize::MAX)) {
            *slot = Some(value);
        }
    }
}

/// Where the topmost operands begin.
fn below<'a>(stack: &[Outcome<'a>], count: u32) -> Result<usize, Failure<'a>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    stack.len().checked_sub(count).ok_or_else(Failure::out_of_table)
}

#[cfg(test)]
mod tests;
