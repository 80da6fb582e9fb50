//! The compiled form: flat tables that refer to each other by position, and straight code for expressions.
//!
//! Written by [`super::compile`], made ready to run by [`super::image`], run by [`super::evaluate`]. There are no pointers
//! and no nesting, so running it needs no recursion; every position was checked when it was made ready, and one that is not
//! there is a failure, never a panic.

use std::sync::Arc;

use super::ast::{Effect, NoticeKind};
use super::combine::Algorithm;
use super::functions::{Function, HigherOrder, Pattern};
use super::value::{DataType, Value};

/// A compiled policy or policy set with everything it refers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) literals: Vec<Literal>,
    pub(crate) designators: Vec<Designator>,
    pub(crate) code: Vec<Instruction>,
    /// Code of each variable. One uses only those before it.
    pub(crate) variables: Vec<Span>,
    pub(crate) matches: Vec<Match>,
    /// Spans of `matches`.
    pub(crate) all_ofs: Vec<Span>,
    /// Spans of `all_ofs`.
    pub(crate) any_ofs: Vec<Span>,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) rules: Vec<Rule>,
    /// Policies and sets, each after those that it holds; the root is the last.
    pub(crate) nodes: Vec<Node>,
    /// Positions in `nodes`, of the children of sets.
    pub(crate) children: Vec<u32>,
}

/// From one position up to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A constant.
#[derive(Debug, Clone)]
pub(crate) struct Literal {
    pub(crate) value: Value,
    /// What it is as a pattern, if it is used as one.
    pub(crate) pattern: Option<Pattern>,
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
    /// If the topmost operand is this boolean: it takes the place of the operands below it, and steps are skipped. Follows
    /// from the calls: it is put in when the program is made ready.
    StopAt { value: bool, below: u32, skip: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Designator {
    pub(crate) category: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) data_type: DataType,
    pub(crate) issuer: Option<Arc<str>>,
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
    pub(crate) id: Arc<str>,
    pub(crate) version: Arc<str>,
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
    pub(crate) id: Arc<str>,
    pub(crate) effect: Effect,
    /// Span of `assignments`.
    pub(crate) assignments: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) id: Arc<str>,
    pub(crate) category: Option<Arc<str>>,
    pub(crate) issuer: Option<Arc<str>>,
    /// Span of `code`.
    pub(crate) value: Span,
}

impl Program {
    /// The policy or set that is asked.
    pub(crate) fn root(&self) -> Option<&Node> {
        self.nodes.last()
    }
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

/// Adds entries to a table; they stand together.
pub(crate) fn append<T>(table: &mut Vec<T>, entries: impl IntoIterator<Item = T>) -> Span {
    let start = position(table.len());
    table.extend(entries);
    Span { start, end: position(table.len()) }
}

/// A length as a position. What is compiled or read has far fewer entries than there are positions.
pub(crate) fn position(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
