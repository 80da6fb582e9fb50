//! Rules, policies and policy sets: a stack of those begun, each with its combiner.

use super::{Evaluation, Failure, Operand};
use crate::xacml::ast::{Effect, NoticeKind};
use crate::xacml::combine::{Algorithm, Combiner, Extended};
use crate::xacml::functions::Fuel;
use crate::xacml::program::{self, Node, Program, Rule, Span, at};
use crate::xacml::request::Context;
use crate::xacml::response::{Assignment, DecisionResult, Notice, PolicyIdentifier, Status, StatusCode};

/// What a rule, policy or set gives to the one above it.
struct ChildResult {
    decision: Extended,
    /// Why, if it is indeterminate.
    failure: Option<Failure>,
    notices: Vec<FiredNotice>,
    policies: Vec<PolicyIdentifier>,
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
    uncertain: Option<Failure>,
    failure: Option<Failure>,
    notices: Vec<FiredNotice>,
    policies: Vec<PolicyIdentifier>,
}

/// What comes of looking at a policy or set.
enum Entered<'a> {
    Begun(Frame<'a>),
    Known(ChildResult),
}

/// Decides.
pub(crate) fn decide(program: &Program, context: &Context, fuel_max: u64) -> DecisionResult {
    let mut evaluation = Evaluation::new(program, context, Fuel::new(fuel_max));
    let result = evaluation.run();
    let status = match (result.decision.is_indeterminate(), result.failure) {
        (true, Some(failure)) => {
            Status { code: failure.code, message: Some(failure.message), missing: failure.missing }
        }
        (true, None) => Status { code: StatusCode::ProcessingError, message: None, missing: None },
        (false, _) => Status { code: StatusCode::Ok, message: None, missing: None },
    };
    let mut answer =
        DecisionResult { status, policies: result.policies, ..DecisionResult::plain(result.decision.decision()) };
    for fired in result.notices {
        match fired.kind {
            NoticeKind::Obligation => answer.obligations.push(fired.notice),
            NoticeKind::Advice => answer.advice.push(fired.notice),
        }
    }
    answer
}

impl<'a> Evaluation<'a> {
    fn run(&mut self) -> ChildResult {
        let mut frames: Vec<Frame<'a>> = Vec::new();
        let mut known = match self.enter(self.program.root) {
            Entered::Known(result) => return result,
            Entered::Begun(frame) => {
                frames.push(frame);
                None
            }
        };
        while let Some(frame) = frames.last_mut() {
            if self.fuel.is_empty() || self.fuel.pay(1).is_err() {
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
                    let result = self.rule(position);
                    frame.take(result);
                    continue;
                }
                match at(&self.program.children, position).map(|child| self.enter(*child)) {
                    Some(Entered::Begun(child)) => frames.push(child),
                    Some(Entered::Known(result)) => known = Some(result),
                    None => return ChildResult::failed(Extended::IndeterminateBoth, Failure::out_of_table()),
                }
                continue;
            }
            if let Some(frame) = frames.pop() {
                known = Some(self.finish(frame));
            }
        }
        known.unwrap_or_else(|| ChildResult::failed(Extended::IndeterminateBoth, Failure::out_of_table()))
    }

    /// Looks at the target of a policy or set.
    fn enter(&mut self, position: u32) -> Entered<'a> {
        let Some(node) = at(&self.program.nodes, position) else {
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
        Entered::Begun(Frame {
            node,
            children,
            combiner: Combiner::new(node.algorithm),
            uncertain,
            failure: None,
            notices: Vec::new(),
            policies: Vec::new(),
        })
    }

    /// The one child whose target matches, or none.
    fn only_applicable(&mut self, children: Span) -> Result<Span, Failure> {
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

    fn rule(&mut self, position: u32) -> ChildResult {
        let Some(rule) = at(&self.program.rules, position) else {
            return ChildResult::failed(Extended::IndeterminateBoth, Failure::out_of_table());
        };
        let effect = Extended::from(rule.effect);
        match self.applies(rule) {
            Ok(false) => ChildResult::of(Extended::NotApplicable),
            Ok(true) => match self.notices(rule.notices, rule.effect) {
                Ok(notices) => ChildResult { notices, ..ChildResult::of(effect) },
                Err(failure) => ChildResult::failed(effect.if_uncertain(), failure),
            },
            Err(failure) => ChildResult::failed(effect.if_uncertain(), failure),
        }
    }

    fn applies(&mut self, rule: &Rule) -> Result<bool, Failure> {
        if !self.target(rule.target)? {
            return Ok(false);
        }
        match rule.condition {
            None => Ok(true),
            Some(condition) => self.expression(condition).map(|operand| operand.is_true()),
        }
    }

    /// Ends a policy or set whose children have all been taken.
    fn finish(&mut self, frame: Frame<'a>) -> ChildResult {
        let decision = frame.combiner.finish();
        if let Some(failure) = frame.uncertain {
            return match decision.if_uncertain() {
                Extended::NotApplicable => ChildResult::of(Extended::NotApplicable),
                indeterminate => ChildResult::failed(indeterminate, failure),
            };
        }
        let mut result = ChildResult { decision, failure: frame.failure, notices: Vec::new(), policies: Vec::new() };
        if let Some(effect) = decision.effect() {
            match self.notices(frame.node.notices, effect) {
                Ok(own) => {
                    let of_children = frame.notices.into_iter().filter(|fired| fired.effect == effect);
                    result.notices = of_children.chain(own).collect();
                }
                Err(failure) => return ChildResult::failed(decision.if_uncertain(), failure),
            }
        }
        if decision != Extended::NotApplicable {
            let Node { is_set, id, version, .. } = frame.node;
            result.policies.push(PolicyIdentifier { is_set: *is_set, id: id.clone(), version: version.clone() });
            result.policies.extend(frame.policies);
        }
        result
    }

    /// The obligations and advice that go with an effect. One that fails makes its whole rule or policy indeterminate.
    fn notices(&mut self, notices: Span, effect: Effect) -> Result<Vec<FiredNotice>, Failure> {
        let program = self.program;
        let mut fired = Vec::new();
        for notice in notices.of(&program.notices).iter().filter(|notice| notice.effect == effect) {
            self.fuel.pay(1)?;
            let mut assignments = Vec::new();
            for assignment in notice.assignments.of(&program.assignments) {
                self.assign(assignment, &mut assignments)?;
            }
            let notice_fired = Notice { id: notice.id.clone(), assignments };
            fired.push(FiredNotice { kind: notice.kind, effect, notice: notice_fired });
        }
        Ok(fired)
    }

    /// An assignment for the value, or for each value of a bag.
    fn assign(&mut self, assignment: &program::Assignment, to: &mut Vec<Assignment>) -> Result<(), Failure> {
        let operand = self.expression(assignment.value)?;
        self.fuel.pay(operand.weight())?;
        let values = match &operand {
            Operand::One(value) => std::slice::from_ref(value),
            Operand::Bag(values) => values,
        };
        to.extend(values.iter().map(|value| Assignment {
            id: assignment.id.clone(),
            category: assignment.category.clone(),
            issuer: assignment.issuer.clone(),
            data_type: value.data_type().uri().to_owned(),
            value: value.to_string(),
        }));
        Ok(())
    }
}

impl Frame<'_> {
    /// Position of the next child, unless nothing depends on it any more.
    fn next(&mut self) -> Option<u32> {
        if self.combiner.is_decided() {
            return None;
        }
        let position = self.children.at(0)?;
        self.children.start = self.children.start.saturating_add(1);
        Some(position)
    }

    fn take(&mut self, result: ChildResult) {
        self.combiner.add(result.decision);
        if self.failure.is_none() {
            self.failure = result.failure;
        }
        self.notices.extend(result.notices);
        self.policies.extend(result.policies);
    }
}

impl ChildResult {
    fn of(decision: Extended) -> Self {
        Self { decision, failure: None, notices: Vec::new(), policies: Vec::new() }
    }

    fn failed(decision: Extended, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::of(decision) }
    }
}
