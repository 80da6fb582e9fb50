//! Rules, policies and policy sets: a stack of those begun, each with its combiner.

use super::{Attributes, Evaluation, Failure};
use crate::xacml::ast::{Effect, NoticeKind};
use crate::xacml::combine::{Algorithm, Combiner, Extended};
use crate::xacml::functions::{Argument, Fuel};
use crate::xacml::program::{self, Node, Program, Rule, Span, at};
use crate::xacml::response::{Assignment, Decision, Notice, PolicyIdentifier, Status, StatusCode};

/// A decision with all that goes with it.
pub(crate) struct Evaluated<'a> {
    pub(crate) decision: Decision,
    /// Why, if it is Indeterminate.
    failure: Option<Failure<'a>>,
    pub(crate) obligations: Vec<Notice>,
    pub(crate) advice: Vec<Notice>,
    /// Policies and sets that applied.
    applicable: Vec<&'a Node>,
}

/// What a rule, policy or set gives to the one above it. Its notices and what applied are at the end of [`Told`].
struct ChildResult<'a> {
    decision: Extended,
    /// Why, if it is indeterminate.
    failure: Option<Failure<'a>>,
}

/// What goes with the decisions so far; what a policy adds stands behind what was there before it began.
#[derive(Default)]
struct Told<'a> {
    notices: Vec<FiredNotice>,
    applicable: Vec<&'a Node>,
}

struct FiredNotice {
    kind: NoticeKind,
    effect: Effect,
    notice: Notice,
}

/// A policy or set that has begun.
struct Frame<'a> {
    node: &'a Node,
    /// What of the children is still to come.
    children: Span,
    combiner: Combiner,
    /// Why it cannot be known whether the target matches.
    uncertain: Option<Failure<'a>>,
    failure: Option<Failure<'a>>,
    /// How much was told when it began.
    notices_from: usize,
    applicable_from: usize,
}

/// What comes of looking at a policy or set.
enum Entered<'a> {
    Begun(Frame<'a>),
    Known(ChildResult<'a>),
}

/// Decides.
pub(crate) fn decide<'a>(program: &'a Program, attributes: &'a Attributes<'a>, fuel_max: u64) -> Evaluated<'a> {
    let mut evaluation = Evaluation::new(program, attributes, Fuel::new(fuel_max));
    let mut told = Told::default();
    let result = evaluation.run(&mut told);
    let mut evaluated = Evaluated {
        decision: result.decision.decision(),
        failure: result.failure.filter(|_| result.decision.is_indeterminate()),
        obligations: Vec::new(),
        advice: Vec::new(),
        applicable: told.applicable,
    };
    for fired in told.notices {
        match fired.kind {
            NoticeKind::Obligation => evaluated.obligations.push(fired.notice),
            NoticeKind::Advice => evaluated.advice.push(fired.notice),
        }
    }
    evaluated
}

impl Evaluated<'_> {
    pub(crate) fn status_code(&self) -> StatusCode {
        match (self.decision, &self.failure) {
            (Decision::Indeterminate, Some(failure)) => failure.code(),
            (Decision::Indeterminate, None) => StatusCode::ProcessingError,
            _ => StatusCode::Ok,
        }
    }

    pub(crate) fn status(&self) -> Status {
        let without_words = || Status { code: self.status_code(), message: None, missing: None };
        self.failure.as_ref().map_or_else(without_words, Failure::status)
    }

    /// Policies and sets that applied, each before those that it holds.
    pub(crate) fn policies(&self) -> Vec<PolicyIdentifier> {
        let identifier = |node: &&Node| PolicyIdentifier {
            is_set: node.is_set,
            id: node.id.to_string(),
            version: node.version.to_string(),
        };
        self.applicable.iter().map(identifier).collect()
    }
}

impl<'a> Evaluation<'a> {
    fn run(&mut self, told: &mut Told<'a>) -> ChildResult<'a> {
        let program = self.program;
        let mut frames: Vec<Frame<'a>> = Vec::new();
        let mut known = match self.enter(program.root(), told) {
            Entered::Known(result) => return result,
            Entered::Begun(frame) => {
                frames.push(frame);
                None
            }
        };
        while let Some(frame) = frames.last_mut() {
            if self.fuel.is_empty() || self.fuel.pay(1).is_err() {
                told.back_to(0, 0);
                return ChildResult::failed(
                    Extended::IndeterminateBoth,
                    Failure::processing("the decision needs more steps than allowed"),
                );
            }
            if let Some(result) = known.take() {
                frame.take(result);
            }
            if let Some(position) = frame.next() {
                if !frame.node.is_set {
                    let result = self.rule(position, told);
                    frame.take(result);
                    continue;
                }
                let child = at(&program.children, position).and_then(|child| at(&program.nodes, *child));
                match self.enter(child, told) {
                    Entered::Begun(child) => frames.push(child),
                    Entered::Known(result) => known = Some(result),
                }
                continue;
            }
            if let Some(frame) = frames.pop() {
                known = Some(self.finish(frame, told));
            }
        }
        known.unwrap_or_else(|| ChildResult::failed(Extended::IndeterminateBoth, Failure::out_of_table()))
    }

    /// Looks at the target of a policy or set.
    fn enter(&mut self, node: Option<&'a Node>, told: &mut Told<'a>) -> Entered<'a> {
        let Some(node) = node else {
            return Entered::Known(ChildResult::failed(Extended::IndeterminateBoth, Failure::out_of_table()));
        };
        let uncertain = match self.target(node.target) {
            Ok(false) => return Entered::Known(ChildResult::of(Extended::NotApplicable)),
            Ok(true) => None,
            Err(failure) => Some(failure),
        };
        let children = match node.algorithm {
            Algorithm::OnlyOneApplicable => match self.only_applicable(node.children) {
                Ok(children) => children,
                Err(failure) => return Entered::Known(ChildResult::failed(Extended::IndeterminateBoth, failure)),
            },
            _ => node.children,
        };
        let (notices_from, applicable_from) = (told.notices.len(), told.applicable.len());
        told.applicable.push(node);
        Entered::Begun(Frame {
            node,
            children,
            combiner: Combiner::new(node.algorithm),
            uncertain,
            failure: None,
            notices_from,
            applicable_from,
        })
    }

    /// The one child whose target matches, or none.
    fn only_applicable(&mut self, children: Span) -> Result<Span, Failure<'a>> {
        let mut only = Span::default();
        for position in children.start..children.end {
            let child = at(&self.program.children, position).and_then(|child| at(&self.program.nodes, *child));
            let target = child.ok_or_else(Failure::out_of_table)?.target;
            self.fuel.pay(1)?;
            if self.target(target)? {
                if only != Span::default() {
                    return Err(Failure::processing("more than one policy is applicable where only one may be"));
                }
                only = Span { start: position, end: position.saturating_add(1) };
            }
        }
        Ok(only)
    }

    fn rule(&mut self, position: u32, told: &mut Told<'a>) -> ChildResult<'a> {
        let Some(rule) = at(&self.program.rules, position) else {
            return ChildResult::failed(Extended::IndeterminateBoth, Failure::out_of_table());
        };
        let effect = Extended::from(rule.effect);
        match self.applies(rule) {
            Ok(false) => ChildResult::of(Extended::NotApplicable),
            Ok(true) => match self.notices(rule.notices, rule.effect, told) {
                Ok(()) => ChildResult::of(effect),
                Err(failure) => ChildResult::failed(effect.if_uncertain(), failure),
            },
            Err(failure) => ChildResult::failed(effect.if_uncertain(), failure),
        }
    }

    fn applies(&mut self, rule: &Rule) -> Result<bool, Failure<'a>> {
        if !self.target(rule.target)? {
            return Ok(false);
        }
        match rule.condition {
            None => Ok(true),
            Some(condition) => self.expression(condition).map(|operand| operand.is_true()),
        }
    }

    /// Ends a policy or set whose children have all been taken.
    fn finish(&mut self, frame: Frame<'a>, told: &mut Told<'a>) -> ChildResult<'a> {
        let decision = frame.combiner.finish();
        if let Some(failure) = frame.uncertain {
            told.back_to(frame.notices_from, frame.applicable_from);
            return match decision.if_uncertain() {
                Extended::NotApplicable => ChildResult::of(Extended::NotApplicable),
                indeterminate => ChildResult::failed(indeterminate, failure),
            };
        }
        match decision.effect() {
            Some(effect) => {
                told.keep_with(effect, frame.notices_from);
                if let Err(failure) = self.notices(frame.node.notices, effect, told) {
                    told.back_to(frame.notices_from, frame.applicable_from);
                    return ChildResult::failed(decision.if_uncertain(), failure);
                }
            }
            None if decision == Extended::NotApplicable => told.back_to(frame.notices_from, frame.applicable_from),
            None => told.notices.truncate(frame.notices_from),
        }
        ChildResult { decision, failure: frame.failure }
    }

    /// Tells the obligations and advice that go with an effect. One that fails makes its whole rule or policy
    /// indeterminate, and none is told.
    fn notices(&mut self, notices: Span, effect: Effect, told: &mut Told<'a>) -> Result<(), Failure<'a>> {
        let program = self.program;
        let before = told.notices.len();
        for notice in notices.of(&program.notices).iter().filter(|notice| notice.effect == effect) {
            match self.notice(notice) {
                Ok(notice_fired) => {
                    told.notices.push(FiredNotice { kind: notice.kind, effect, notice: notice_fired });
                }
                Err(failure) => {
                    told.notices.truncate(before);
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    fn notice(&mut self, notice: &program::Notice) -> Result<Notice, Failure<'a>> {
        self.fuel.pay(1)?;
        let mut assignments = Vec::new();
        for assignment in notice.assignments.of(&self.program.assignments) {
            self.assign(assignment, &mut assignments)?;
        }
        Ok(Notice { id: notice.id.to_string(), assignments })
    }

    /// An assignment for the value, or for each value of a bag.
    fn assign(&mut self, assignment: &program::Assignment, to: &mut Vec<Assignment>) -> Result<(), Failure<'a>> {
        let operand = self.expression(assignment.value)?;
        let argument = operand.as_argument();
        self.fuel.pay(argument.weight())?;
        let values = match argument {
            Argument::One(value) => std::slice::from_ref(value),
            Argument::Bag(values) => values,
        };
        to.extend(values.iter().map(|value| Assignment {
            id: assignment.id.to_string(),
            category: assignment.category.as_deref().map(str::to_owned),
            issuer: assignment.issuer.as_deref().map(str::to_owned),
            data_type: value.data_type().uri().to_owned(),
            value: value.to_string(),
        }));
        Ok(())
    }
}

impl<'a> Frame<'a> {
    /// Position of the next child, unless nothing depends on it any more.
    fn next(&mut self) -> Option<u32> {
        if self.combiner.is_decided() {
            return None;
        }
        let position = self.children.at(0)?;
        self.children.start = self.children.start.saturating_add(1);
        Some(position)
    }

    fn take(&mut self, result: ChildResult<'a>) {
        self.combiner.add(result.decision);
        if self.failure.is_none() {
            self.failure = result.failure;
        }
    }
}

impl Told<'_> {
    /// Takes back what was told since.
    fn back_to(&mut self, notices: usize, applicable: usize) {
        self.notices.truncate(notices);
        self.applicable.truncate(applicable);
    }

    /// Takes back the notices told since that do not go with the effect.
    fn keep_with(&mut self, effect: Effect, from: usize) {
        let mut kept = from;
        for index in from..self.notices.len() {
            if self.notices.get(index).is_some_and(|fired| fired.effect == effect) {
                self.notices.swap(kept, index);
                kept = kept.saturating_add(1);
            }
        }
        self.notices.truncate(kept);
    }
}

impl<'a> ChildResult<'a> {
    fn of(decision: Extended) -> Self {
        Self { decision, failure: None }
    }

    fn failed(decision: Extended, failure: Failure<'a>) -> Self {
        Self { decision, failure: Some(failure) }
    }
}
