//! Programs of the standard.
//!
//! ```text
//! designators  list of: category, id, data type, must be present (0 or 1), issuer (0, or 1 and the text)
//! literals     list of: data type, text as the value is written
//! variables    list of expressions; each uses only those before it
//! nodes        list of policies and sets, each after those it holds; the last is the root
//!   node       POLICY or SET, id, version, algorithm, target, children, notices
//!   children   of a set: list of positions of nodes; of a policy: list of rules
//!   rule       effect, target, condition (0, or 1 and an expression), notices
//!   target     list (AnyOf) of lists (AllOf) of lists of: function, literal, designator
//!   notices    list of: OBLIGATION or ADVICE, effect, id, list of assignments
//!   assignment id, which of category and issuer (bits 1 and 2), those, expression
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::{Reader, Writer};
use super::expression::{self, Expressions, read_function, read_type, write_function};
use super::{
    DESIGNATORS_MAX, LITERALS_MAX, NODES_MAX, PATTERNS_MAX, ProgramError, RULES_MAX, Result, VARIABLES_MAX, VISITS_MAX,
    wrong,
};
use crate::xacml::ast::NoticeKind;
use crate::xacml::combine::Algorithm;
use crate::xacml::compile::POLICY_DEPTH_MAX;
use crate::xacml::functions::{Function, Pattern, Type};
use crate::xacml::program::{Assignment, Designator, Literal, Match, Node, Notice, Program, Rule, Span, append, at};
use crate::xacml::value::{DataType, Value};

const POLICY: u8 = 0;
const SET: u8 = 1;
const OBLIGATION: u8 = 0;
const ADVICE: u8 = 1;

pub(super) fn write(program: &Program, writer: &mut Writer) {
    writer.count(program.designators.len());
    for designator in &program.designators {
        writer.string(&designator.category);
        writer.string(&designator.id);
        writer.byte(designator.data_type.number());
        writer.byte(u8::from(designator.must_be_present));
        writer.byte(u8::from(designator.issuer.is_some()));
        if let Some(issuer) = &designator.issuer {
            writer.string(issuer);
        }
    }
    writer.count(program.literals.len());
    for Literal { value, .. } in &program.literals {
        writer.byte(value.data_type().number());
        match value.text() {
            Some(text) => writer.string(text),
            None => writer.string(&value.to_string()),
        }
    }
    writer.count(program.variables.len());
    for variable in &program.variables {
        expression::write(variable.of(&program.code), writer);
    }
    writer.count(program.nodes.len());
    for node in &program.nodes {
        writer.byte(if node.is_set { SET } else { POLICY });
        writer.string(&node.id);
        writer.string(&node.version);
        writer.byte(node.algorithm.number());
        write_target(program, node.target, writer);
        if node.is_set {
            let children = node.children.of(&program.children);
            writer.count(children.len());
            children.iter().for_each(|child| writer.number(*child));
        } else {
            let rules = node.children.of(&program.rules);
            writer.count(rules.len());
            rules.iter().for_each(|rule| write_rule(program, rule, writer));
        }
        write_notices(program, node.notices, writer);
    }
}

fn write_rule(program: &Program, rule: &Rule, writer: &mut Writer) {
    writer.effect(rule.effect);
    write_target(program, rule.target, writer);
    writer.byte(u8::from(rule.condition.is_some()));
    if let Some(condition) = rule.condition {
        expression::write(condition.of(&program.code), writer);
    }
    write_notices(program, rule.notices, writer);
}

fn write_target(program: &Program, target: Span, writer: &mut Writer) {
    let any_ofs = target.of(&program.any_ofs);
    writer.count(any_ofs.len());
    for any_of in any_ofs {
        let all_ofs = any_of.of(&program.all_ofs);
        writer.count(all_ofs.len());
        for all_of in all_ofs {
            let matches = all_of.of(&program.matches);
            writer.count(matches.len());
            for one in matches {
                write_function(one.function, writer);
                writer.number(one.literal);
                writer.number(one.designator);
            }
        }
    }
}

fn write_notices(program: &Program, notices: Span, writer: &mut Writer) {
    let notices = notices.of(&program.notices);
    writer.count(notices.len());
    for notice in notices {
        writer.byte(if notice.kind == NoticeKind::Obligation { OBLIGATION } else { ADVICE });
        writer.effect(notice.effect);
        writer.string(&notice.id);
        let assignments = notice.assignments.of(&program.assignments);
        writer.count(assignments.len());
        for assignment in assignments {
            writer.string(&assignment.id);
            writer.two(assignment.category.as_deref(), assignment.issuer.as_deref());
            expression::write(assignment.value.of(&program.code), writer);
        }
    }
}

/// What is known of a policy or set that was read.
struct Known {
    /// How deep sets are nested in it, itself included.
    depth: usize,
    /// How many policies, sets and rules are looked at when it is decided, at most.
    visits: u64,
    /// Whether a set holds it.
    is_held: bool,
}

/// A program being read.
struct Building {
    program: Program,
    expressions: Expressions,
    nodes: Vec<Known>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Program> {
    let mut building = Building { program: Program::default(), expressions: Expressions::default(), nodes: Vec::new() };
    building.program.designators = reader.list(DESIGNATORS_MAX, "the number of designators", read_designator)?;
    building.program.literals = reader.list(LITERALS_MAX, "the number of literals", read_literal)?;
    for _ in 0..reader.count(VARIABLES_MAX, "the number of variables")? {
        let (code, kind) = building.expressions.read(reader, &mut building.program)?;
        building.program.variables.push(code);
        building.expressions.variables.push(kind);
    }
    for _ in 0..reader.count(NODES_MAX, "the number of policies")? {
        building.node(reader)?;
    }
    building.finish()
}

fn read_designator(reader: &mut Reader<'_>) -> Result<Designator> {
    Ok(Designator {
        category: reader.string()?,
        id: reader.string()?,
        data_type: read_type(reader)?,
        must_be_present: reader.boolean()?,
        issuer: if reader.boolean()? { Some(reader.string()?) } else { None },
    })
}

fn read_literal(reader: &mut Reader<'_>) -> Result<Literal> {
    let what = "the value of a literal";
    let data_type = read_type(reader)?;
    let text = reader.string()?;
    let value = match data_type {
        DataType::String => Value::String(text),
        _ => {
            let value = Value::parse(data_type, &text).map_err(|_| ProgramError { what })?;
            let is_as_written = match value.text() {
                Some(written) => written == &*text,
                None => value.to_string() == *text,
            };
            if !is_as_written {
                return wrong(what);
            }
            value
        }
    };
    Ok(Literal { value, pattern: None })
}

impl Building {
    fn node(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let is_set = match reader.byte()? {
            POLICY => false,
            SET => true,
            _ => return wrong("what is a policy and what a set"),
        };
        let (id, version) = (reader.string()?, reader.string()?);
        let algorithm = Algorithm::from_number(reader.byte()?).filter(|algorithm| algorithm.is_for(is_set));
        let algorithm = algorithm.ok_or(ProgramError { what: "the number of a combining algorithm" })?;
        let target = self.target(reader)?;
        let mut known = Known { depth: 0, visits: 1, is_held: false };
        let children = if is_set { self.children(reader, &mut known)? } else { self.rules(reader, &mut known)? };
        if known.depth > POLICY_DEPTH_MAX {
            return wrong("the depth of policy sets");
        }
        if known.visits > VISITS_MAX {
            return wrong("the number of policies, counted wherever they are referred to");
        }
        let notices = self.notices(reader)?;
        self.program.nodes.push(Node { is_set, id, version, algorithm, target, children, notices });
        self.nodes.push(known);
        Ok(())
    }

    /// Positions of the children, each before the set itself: so there is no circle.
    fn children(&mut self, reader: &mut Reader<'_>, known: &mut Known) -> Result<Span> {
        known.depth = 1;
        let what = "the position of a policy";
        let mut children = Vec::new();
        for _ in 0..reader.count(usize::MAX, "the number of children")? {
            let child = reader.position(self.nodes.len(), what)?;
            let index = usize::try_from(child).unwrap_or(usize::MAX);
            let of_child = self.nodes.get_mut(index).ok_or(ProgramError { what })?;
            of_child.is_held = true;
            known.depth = known.depth.max(of_child.depth.saturating_add(1));
            known.visits = known.visits.saturating_add(of_child.visits);
            children.push(child);
        }
        Ok(append(&mut self.program.children, children))
    }

    fn rules(&mut self, reader: &mut Reader<'_>, known: &mut Known) -> Result<Span> {
        let left = RULES_MAX.saturating_sub(self.program.rules.len());
        let rules = reader.list(left, "the number of rules", |reader| self.rule(reader))?;
        known.visits = known.visits.saturating_add(u64::try_from(rules.len()).unwrap_or(u64::MAX));
        Ok(append(&mut self.program.rules, rules))
    }

    fn rule(&mut self, reader: &mut Reader<'_>) -> Result<Rule> {
        let effect = reader.effect()?;
        let target = self.target(reader)?;
        let condition = if reader.boolean()? {
            let (code, kind) = self.expressions.read(reader, &mut self.program)?;
            if kind != Type::One(DataType::Boolean) {
                return wrong("the type of a condition");
            }
            Some(code)
        } else {
            None
        };
        Ok(Rule { effect, target, condition, notices: self.notices(reader)? })
    }

    fn target(&mut self, reader: &mut Reader<'_>) -> Result<Span> {
        let what = "the length of a target";
        let any_ofs = reader.list(usize::MAX, what, |reader| {
            let all_ofs = reader.list(usize::MAX, what, |reader| {
                let matches = reader.list(usize::MAX, what, |reader| self.matching(reader))?;
                Ok(append(&mut self.program.matches, matches))
            })?;
            Ok(append(&mut self.program.all_ofs, all_ofs))
        })?;
        Ok(append(&mut self.program.any_ofs, any_ofs))
    }

    fn matching(&mut self, reader: &mut Reader<'_>) -> Result<Match> {
        let program = &self.program;
        let function = read_function(reader)?;
        let literal = reader.position(program.literals.len(), "the position of a literal")?;
        let designator = reader.position(program.designators.len(), "the position of a designator")?;
        let of_literal = at(&program.literals, literal).map(|literal| Type::One(literal.value.data_type()));
        let of_attribute = at(&program.designators, designator).map(|designator| Type::One(designator.data_type));
        let signature = function.signature();
        let types = [of_literal, of_attribute].into_iter().flatten().collect::<Vec<_>>();
        if signature.returns != Type::One(DataType::Boolean) || signature.misfit(&types).is_some() {
            return wrong("the arguments of a match");
        }
        if matches!(function, Function::RegexpMatch(_)) {
            self.expressions.patterns.insert(literal);
        }
        Ok(Match { function, literal, designator })
    }

    fn notices(&mut self, reader: &mut Reader<'_>) -> Result<Span> {
        let notices = reader.list(usize::MAX, "the number of obligations", |reader| {
            let kind = match reader.byte()? {
                OBLIGATION => NoticeKind::Obligation,
                ADVICE => NoticeKind::Advice,
                _ => return wrong("what is an obligation and what advice"),
            };
            let (effect, id) = (reader.effect()?, reader.string()?);
            let assignments = reader.list(usize::MAX, "the number of assignments", |reader| self.assignment(reader))?;
            Ok(Notice { kind, id, effect, assignments: append(&mut self.program.assignments, assignments) })
        })?;
        Ok(append(&mut self.program.notices, notices))
    }

    fn assignment(&mut self, reader: &mut Reader<'_>) -> Result<Assignment> {
        let id = reader.string()?;
        let (category, issuer) = reader.two()?;
        let (value, _) = self.expressions.read(reader, &mut self.program)?;
        Ok(Assignment { id, category, issuer, value })
    }

    fn finish(mut self) -> Result<Program> {
        match self.nodes.split_last() {
            Some((root, others)) if !root.is_held && others.iter().all(|known| known.is_held) => {}
            _ => return wrong("a policy that is not part of the whole"),
        }
        let mut known: BTreeMap<Arc<str>, Pattern> = BTreeMap::new();
        for position in self.expressions.patterns {
            let index = usize::try_from(position).unwrap_or(usize::MAX);
            let Some(literal) = self.program.literals.get_mut(index) else { continue };
            let Value::String(text) = &literal.value else { continue };
            if let Some(pattern) = known.get(text) {
                literal.pattern = Some(pattern.clone());
            } else if known.len() < PATTERNS_MAX {
                let pattern = Pattern::read(text).map_err(|_| ProgramError { what: "a pattern" })?;
                known.insert(Arc::clone(text), pattern.clone());
                literal.pattern = Some(pattern);
            }
        }
        Ok(self.program)
    }
}
