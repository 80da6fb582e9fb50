//! The compiled form: flat tables that refer to each other by position, and straight code for expressions.
//!
//! Made by [`super::compile`] and run by [`super::evaluate`]. There are no pointers and no nesting, so running it needs no
//! recursion; every position was given out by the compiler, and one that is not there is a failure, never a panic.

use super::ast::{Effect, NoticeKind};
use super::combine::Algorithm;
use super::functions::{Function, HigherOrder};
use super::value::{DataType, Value};

/// A compiled policy or policy set with everything it refers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) literals: Vec<Value>,
    pub(crate) designators: Vec<Designator>,
    pub(crate) code: Vec<Instruction>,
    /// Code of each variable.
    pub(crate) variables: Vec<Span>,
    pub(crate) matches: Vec<Match>,
    /// Spans of `matches`.
    pub(crate) all_ofs: Vec<Span>,
    /// Spans of `all_ofs`.
    pub(crate) any_ofs: Vec<Span>,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) nodes: Vec<Node>,
    /// Positions in `nodes`, of the children of sets.
    pub(crate) children: Vec<u32>,
    /// Position in `nodes`.
    pub(crate) root: u32,
}

/// From one position up to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// One step of an expression. Each leaves one operand, or a failure, on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// A constant, by position.
    Literal(u32),
    /// The values of a designator, by position.
    Attribute(u32),
    /// The value of a variable, by position; it is computed once.
    Variable(u32),
    /// A function of the topmost operands.
    Call { function: Function, arguments: u32 },
    /// A higher-order function of the topmost operands.
    CallOver { kind: HigherOrder, function: Function, arguments: u32 },
    /// If the topmost operand is this boolean: it takes the place of the operands below it, and steps are skipped.
    StopAt { value: bool, below: u32, skip: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Designator {
    pub(crate) category: String,
    pub(crate) id: String,
    pub(crate) data_type: DataType,
    pub(crate) issuer: Option<String>,
    pub(crate) must_be_present: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) function: Function,
    pub(crate) literal: u32,
    pub(crate) designator: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) effect: Effect,
    /// Span of `any_ofs`.
    pub(crate) target: Span,
    /// Span of `code`.
    pub(crate) condition: Option<Span>,
    /// Span of `notices`.
    pub(crate) notices: Span,
}

/// A policy or a policy set.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) is_set: bool,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) algorithm: Algorithm,
    /// Span of `any_ofs`.
    pub(crate) target: Span,
    /// Span of `children` for a set, of `rules` for a policy.
    pub(crate) children: Span,
    /// Span of `notices`.
    pub(crate) notices: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    pub(crate) id: String,
    pub(crate) effect: Effect,
    /// Span of `assignments`.
    pub(crate) assignments: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) id: String,
    pub(crate) category: Option<String>,
    pub(crate) issuer: Option<String>,
    /// Span of `code`.
    pub(crate) value: Span,
}

impl Span {
    /// The entries it spans.
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        let end = usize::try_from(self.end).unwrap_or(usize::MAX);
        table.get(start..end).unwrap_or(&[])
    }

    /// The first position of the span's kind that is at `offset` in it.
    pub(crate) fn at(self, offset: u32) -> Option<u32> {
        self.start.checked_add(offset).filter(|position| *position < self.end)
    }
}

/// The entry at a position.
pub(crate) fn at<T>(table: &[T], position: u32) -> Option<&T> {
    table.get(usize::try_from(position).ok()?)
}
