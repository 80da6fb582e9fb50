//! Answers as they are compared: read from what was written upstream, and from what we write ourselves.

use anyhow::{Context, Result, bail};
use policies::xacml::response::Response;
use policies::xacml::value::{DataType, Value as XacmlValue};
use policies::xacml::{Semantics, json_profile, xml_context};
use serde_json::Value;

/// One result, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    decision: String,
    /// Without its prefix.
    status: String,
    obligations: Vec<Notice>,
    advice: Vec<Notice>,
    /// Attributes that are repeated: category, id, type, value.
    repeated: Vec<[String; 4]>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Notice {
    id: String,
    /// Id, category, issuer, type, value.
    assignments: Vec<[String; 5]>,
}

impl Answer {
    pub(super) fn decision(&self) -> &str {
        &self.decision
    }

    pub(super) fn status(&self) -> &str {
        &self.status
    }
}

/// What is different, for people.
pub(super) fn difference(expected: &[Answer], given: &[Answer], semantics: Semantics) -> Option<String> {
    if expected.len() != given.len() {
        return Some(format!("{} results expected, {} found", expected.len(), given.len()));
    }
    let differs = |what: &str, expected: String, given: String| {
        (expected != given).then(|| format!("{what} expected {expected}, found {given}"))
    };
    expected.iter().zip(given).find_map(|(expected, given)| {
        differs("decision", expected.decision.clone(), given.decision.clone())
            .or_else(|| differs("status", expected.status.clone(), given.status.clone()))
            .or_else(|| match semantics {
                // The standard gives obligations no order.
                Semantics::Standard => {
                    differs("obligations", sorted(&expected.obligations), sorted(&given.obligations))
                        .or_else(|| differs("advice", sorted(&expected.advice), sorted(&given.advice)))
                }
                // As far as Altinn's own tests look: some of their answers are wrong beyond it.
                Semantics::Altinn => {
                    let first = |answer: &Answer| {
                        let first = answer.obligations.first().and_then(|notice| notice.assignments.first());
                        format!("{} with first {first:?}", answer.obligations.len())
                    };
                    differs("obligations", first(expected), first(given))
                }
            })
            .or_else(|| differs("categories", repeated(expected, semantics), repeated(given, semantics)))
    })
}

/// The standard gives results no order: each is told by the attributes that it repeats. Where they do not tell, the order
/// stays.
pub(super) fn in_order_of(expected: &[Answer], given: Vec<Answer>) -> Vec<Answer> {
    let key = |answer: &Answer| repeated(answer, Semantics::Standard);
    if expected.len() != given.len() || expected.iter().any(|answer| answer.repeated.is_empty()) {
        return given;
    }
    let mut left = given.clone();
    let mut ordered = Vec::new();
    for answer in expected {
        match left.iter().position(|other| key(other) == key(answer)) {
            Some(at) => ordered.push(left.remove(at)),
            None => return given,
        }
    }
    ordered
}

/// The standard gives categories no order.
fn repeated(answer: &Answer, semantics: Semantics) -> String {
    let mut repeated = answer.repeated.clone();
    if semantics == Semantics::Standard {
        repeated.sort();
    }
    format!("{repeated:?}")
}

fn sorted(notices: &[Notice]) -> String {
    let mut notices = notices.to_vec();
    notices.sort();
    format!("{notices:?}")
}

/// Our answer, written and read again.
pub(super) fn of(response: &Response, semantics: Semantics) -> Result<Vec<Answer>> {
    let through_json = from_json(json_profile::write_response(response, semantics).as_bytes())?;
    let through_xml = from_xml(xml_context::write_response(response).as_bytes())?;
    if through_json.iter().map(Answer::decision).ne(through_xml.iter().map(Answer::decision)) {
        bail!("the answer is not the same in JSON and in XML");
    }
    Ok(through_json)
}

/// An answer of the JSON profile, in either case of letters.
pub(super) fn from_json(bytes: &[u8]) -> Result<Vec<Answer>> {
    let document = parse_json(bytes)?;
    let results = member(&document, "Response");
    let results = match results {
        Value::Array(results) => results.clone(),
        Value::Object(_) => vec![results.clone()],
        // One result may stand alone.
        _ => vec![document],
    };
    Ok(results.iter().map(answer).collect())
}

/// An answer in XML, read by `policies`.
pub(super) fn from_xml(bytes: &[u8]) -> Result<Vec<Answer>> {
    let response = xml_context::read_response(bytes)?;
    from_json(json_profile::write_response(&response, Semantics::Standard).as_bytes())
}

/// JSON as it is found upstream: with a byte order mark, as UTF-16, with commas too many.
pub(super) fn parse_json(bytes: &[u8]) -> Result<Value> {
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec())?,
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => String::from_utf8(bytes.to_vec())?,
    };
    serde_json::from_str(&text).or_else(|_| serde_json::from_str(&without_last_commas(&text))).context("not JSON")
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        bail!("half a letter at the end");
    }
    Ok(String::from_utf16(&units.iter().map(|pair| unit(*pair)).collect::<Vec<_>>())?)
}

fn without_last_commas(text: &str) -> String {
    let mut out = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for letter in text.chars() {
        if !in_string && matches!(letter, ']' | '}') && out.trim_end().ends_with(',') {
            out.truncate(out.trim_end().len() - 1);
        }
        in_string ^= letter == '"' && !escaped;
        escaped = in_string && letter == '\\' && !escaped;
        out.push(letter);
    }
    out
}

fn answer(result: &Value) -> Answer {
    let status = text(member(member(member(result, "Status"), "StatusCode"), "Value"));
    let mut repeated = Vec::new();
    for category in list(member(result, "Category")) {
        for attribute in list(member(&category, "Attribute")) {
            for value in list(member(&attribute, "Value")) {
                let data_type = data_type(&attribute, &value);
                let value = normal(&data_type, &value);
                let category = text(member(&category, "CategoryId"));
                repeated.push([category, text(member(&attribute, "AttributeId")), data_type, value]);
            }
        }
    }
    Answer {
        decision: text(member(result, "Decision")),
        status: status.rsplit(':').next().unwrap_or_default().to_owned(),
        obligations: notices(member(result, "Obligations")),
        advice: notices(match member(result, "AssociatedAdvice") {
            Value::Null => member(result, "AssociateAdvice"),
            advice => advice,
        }),
        repeated,
    }
}

fn notices(value: &Value) -> Vec<Notice> {
    list(value)
        .iter()
        .map(|notice| {
            let assignments = list(member(notice, "AttributeAssignment")).into_iter().map(|assignment| {
                let value = member(&assignment, "Value");
                let data_type = data_type(&assignment, value);
                let value = normal(&data_type, value);
                let of = |name| text(member(&assignment, name));
                [of("AttributeId"), of("Category"), of("Issuer"), data_type, value]
            });
            Notice { id: text(member(notice, "Id")), assignments: assignments.collect() }
        })
        .collect()
}

fn data_type(of: &Value, value: &Value) -> String {
    let inferred = match value {
        Value::Bool(_) => DataType::Boolean,
        Value::Number(number) if number.is_f64() => DataType::Double,
        Value::Number(_) => DataType::Integer,
        _ => DataType::String,
    };
    match member(of, "DataType").as_str() {
        Some(name) => DataType::from_name(name).map_or_else(|| name.to_owned(), |known| known.uri().to_owned()),
        None => inferred.uri().to_owned(),
    }
}

/// A value in the one form that its type has.
fn normal(data_type: &str, value: &Value) -> String {
    let written = text(value);
    let read = DataType::from_uri(data_type).and_then(|known| XacmlValue::parse(known, &written).ok());
    read.map_or(written, |value| value.to_string())
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

pub(super) fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// A member, whatever the case of its letters.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    let object = value.as_object();
    object
        .and_then(|members| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
        .map_or(&Value::Null, |(_, value)| value)
}
