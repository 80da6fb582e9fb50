//! Policies as Altinn reads them.
//!
//! ```text
//! algorithm    number of the algorithm, 0 if Altinn does not know it
//! attributes   list of: category, id
//! rules        list of: effect, subject, resource, action, condition
//!   subject …  list (one must hold) of lists (all must) of: comparison, attribute, must be present (0 or 1), literal
//!   condition  NONE, THROWN, NEVER, or ANY, ONLY_ONE or COUNT and: comparison, attribute, data type, literal
//!   literal    data type, text
//!   comparison TEXT, IGNORING_CASE, TYPED and the number of a type, PATTERN, UNKNOWN_COMPARISON, SELECTOR
//! obligations  list of: id, list of assignments
//!   assignment id, which of category and issuer (bits 1 and 2), those, data type, text
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::{Reader, Writer};
use super::expression::read_type;
use super::{DESIGNATORS_MAX, PATTERNS_MAX, ProgramError, RULES_MAX, Result, wrong};
use crate::urn;
use crate::xacml::altinn::{
    Alternatives, AltinnLiteral, AltinnMatch, AltinnPolicy, AltinnRule, AttributeName, Comparison, Condition, Parts,
    Read, Takes,
};
use crate::xacml::combine::Algorithm;
use crate::xacml::functions::Pattern;
use crate::xacml::program::at;
use crate::xacml::response::{Assignment, Notice};
use crate::xacml::value::{DataType, Value};

const NONE: u8 = 0;
const THROWN: u8 = 1;
const ONLY_ONE: u8 = 2;
const COUNT: u8 = 3;
const ANY: u8 = 4;
const NEVER: u8 = 5;

const TEXT: u8 = 1;
const IGNORING_CASE: u8 = 2;
const TYPED: u8 = 3;
const PATTERN: u8 = 4;
const UNKNOWN_COMPARISON: u8 = 5;
const SELECTOR: u8 = 6;

pub(super) fn write(policy: &AltinnPolicy, writer: &mut Writer) {
    writer.byte(policy.algorithm.map_or(0, Algorithm::number));
    writer.count(policy.attributes.len());
    for name in &policy.attributes {
        writer.string(&name.category);
        writer.string(&name.id);
    }
    writer.count(policy.rules.len());
    for rule in &policy.rules {
        writer.effect(rule.effect);
        for Alternatives(alternatives) in [&rule.subject, &rule.resource, &rule.action] {
            writer.count(alternatives.len());
            for matches in alternatives {
                writer.count(matches.len());
                matches.iter().for_each(|one| write_match(one, writer));
            }
        }
        match &rule.condition {
            None => writer.byte(NONE),
            Some(Condition::Thrown) => writer.byte(THROWN),
            Some(Condition::Never) => writer.byte(NEVER),
            Some(Condition::Compares(parts)) => {
                writer.byte(match parts.takes {
                    Takes::Any => ANY,
                    Takes::OnlyOne => ONLY_ONE,
                    Takes::Count => COUNT,
                });
                write_comparison(parts.comparison, writer);
                writer.number(parts.attribute);
                writer.string(&parts.data_type);
                write_literal(&parts.literal, writer);
            }
        }
    }
    writer.count(policy.obligations.len());
    for Notice { id, assignments } in &policy.obligations {
        writer.string(id);
        writer.count(assignments.len());
        for assignment in assignments {
            writer.string(&assignment.id);
            writer.two(assignment.category.as_deref(), assignment.issuer.as_deref());
            writer.string(&assignment.data_type);
            writer.string(&assignment.value);
        }
    }
}

fn write_match(one: &AltinnMatch, writer: &mut Writer) {
    write_comparison(one.comparison, writer);
    writer.number(one.attribute);
    writer.byte(u8::from(one.must_be_present));
    write_literal(&one.literal, writer);
}

fn write_literal(literal: &AltinnLiteral, writer: &mut Writer) {
    writer.string(&literal.data_type);
    writer.string(&literal.text);
}

fn write_comparison(comparison: Comparison, writer: &mut Writer) {
    match comparison {
        Comparison::Text => writer.byte(TEXT),
        Comparison::TextIgnoringCase => writer.byte(IGNORING_CASE),
        Comparison::Typed(kind) => {
            writer.byte(TYPED);
            writer.byte(kind.number());
        }
        Comparison::Pattern => writer.byte(PATTERN),
        Comparison::Unknown => writer.byte(UNKNOWN_COMPARISON),
        Comparison::Selector => writer.byte(SELECTOR),
    }
}

/// A policy being read.
#[derive(Default)]
struct Building {
    attributes: Vec<AttributeName>,
    /// Patterns made ready, none of those that are wrong: Altinn finds that out when it decides.
    patterns: BTreeMap<Arc<str>, Option<Pattern>>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<AltinnPolicy> {
    let algorithm = match reader.byte()? {
        0 => None,
        number => {
            let known = Algorithm::from_number(number).filter(|algorithm| algorithm.is_known_to_altinn());
            Some(known.ok_or(ProgramError { what: "the number of a combining algorithm" })?)
        }
    };
    let attributes = reader.list(DESIGNATORS_MAX, "the number of attributes", |reader| {
        Ok(AttributeName { category: reader.string()?, id: reader.string()? })
    })?;
    let mut building = Building { attributes, ..Building::default() };
    let rules = reader.list(RULES_MAX, "the number of rules", |reader| building.rule(reader))?;
    let obligations = reader.list(usize::MAX, "the number of obligations", read_obligation)?;
    let Building { attributes, .. } = building;
    let subjects = rules.iter().flat_map(|rule| rule.subject.0.iter().flatten());
    let names = subjects.filter_map(|one| at(&attributes, one.attribute)).map(|name| name.id.to_string());
    Ok(AltinnPolicy { algorithm, subject_attributes: names.collect(), attributes, rules, obligations })
}

impl Building {
    fn rule(&mut self, reader: &mut Reader<'_>) -> Result<AltinnRule> {
        Ok(AltinnRule {
            effect: reader.effect()?,
            subject: self.alternatives(reader, urn::CATEGORY_SUBJECT)?,
            resource: self.alternatives(reader, urn::CATEGORY_RESOURCE)?,
            action: self.alternatives(reader, urn::CATEGORY_ACTION)?,
            condition: self.condition(reader)?,
        })
    }

    fn alternatives(&mut self, reader: &mut Reader<'_>, category: &str) -> Result<Alternatives> {
        let what = "the length of a target";
        let alternatives = reader.list(usize::MAX, what, |reader| {
            let matches = reader.list(usize::MAX, what, |reader| self.matching(reader, category))?;
            // Of none all would hold.
            if matches.is_empty() { wrong(what) } else { Ok(matches) }
        })?;
        Ok(Alternatives(alternatives))
    }

    fn matching(&mut self, reader: &mut Reader<'_>, category: &str) -> Result<AltinnMatch> {
        let comparison = read_comparison(reader)?;
        let attribute = self.attribute(reader)?;
        if at(&self.attributes, attribute).is_none_or(|name| &*name.category != category) {
            return wrong("the category of an attribute");
        }
        let must_be_present = reader.boolean()?;
        Ok(AltinnMatch { comparison, attribute, must_be_present, literal: self.literal(reader, comparison)? })
    }

    fn condition(&mut self, reader: &mut Reader<'_>) -> Result<Option<Condition>> {
        let takes = match reader.byte()? {
            NONE => return Ok(None),
            THROWN => return Ok(Some(Condition::Thrown)),
            NEVER => return Ok(Some(Condition::Never)),
            ANY => Takes::Any,
            ONLY_ONE => Takes::OnlyOne,
            COUNT => Takes::Count,
            _ => return wrong("the kind of a condition"),
        };
        let comparison = read_comparison(reader)?;
        let (attribute, data_type) = (self.attribute(reader)?, reader.string()?);
        let literal = self.literal(reader, comparison)?;
        Ok(Some(Condition::Compares(Parts { comparison, literal, attribute, data_type, takes })))
    }

    fn attribute(&self, reader: &mut Reader<'_>) -> Result<u32> {
        reader.position(self.attributes.len(), "the position of an attribute")
    }

    /// A literal, made ready for its comparison if it can be.
    fn literal(&mut self, reader: &mut Reader<'_>, comparison: Comparison) -> Result<AltinnLiteral> {
        let (data_type, text) = (reader.string()?, reader.string()?);
        let read = match comparison {
            Comparison::Typed(kind) => Value::parse(kind, &text).map_or(Read::Not, Read::Value),
            Comparison::Pattern => {
                if !self.patterns.contains_key(&text) && self.patterns.len() < PATTERNS_MAX {
                    self.patterns.insert(Arc::clone(&text), Pattern::read(&text).ok());
                }
                self.patterns.get(&text).cloned().flatten().map_or(Read::Not, Read::Pattern)
            }
            _ => Read::Not,
        };
        Ok(AltinnLiteral { data_type, text, read })
    }
}

fn read_comparison(reader: &mut Reader<'_>) -> Result<Comparison> {
    Ok(match reader.byte()? {
        TEXT => Comparison::Text,
        IGNORING_CASE => Comparison::TextIgnoringCase,
        TYPED => match read_type(reader)? {
            kind @ (DataType::AnyUri | DataType::Integer | DataType::Time | DataType::Date | DataType::DateTime) => {
                Comparison::Typed(kind)
            }
            _ => return wrong("the type of a comparison"),
        },
        PATTERN => Comparison::Pattern,
        UNKNOWN_COMPARISON => Comparison::Unknown,
        SELECTOR => Comparison::Selector,
        _ => return wrong("the number of a comparison"),
    })
}

fn read_obligation(reader: &mut Reader<'_>) -> Result<Notice> {
    let id = reader.string()?.to_string();
    let assignments = reader.list(usize::MAX, "the number of assignments", |reader| {
        let id = reader.string()?.to_string();
        let (category, issuer) = reader.two()?;
        let text = |text: Option<Arc<str>>| text.map(|text| text.to_string());
        let (data_type, value) = (reader.string()?.to_string(), reader.string()?.to_string());
        Ok(Assignment { id, category: text(category), issuer: text(issuer), data_type, value })
    })?;
    Ok(Notice { id, assignments })
}
