//! What the engine's tests are written with: short forms of expressions, policies and requests.

use super::ast::PolicyDocument;
use super::request::{Category, Request, RequestAttribute, RequestValue};
use super::response::{DecisionResult, Response};
use super::value::DataType;
use super::{CompiledPolicy, Environment, PolicyError, Semantics, parse};
use crate::{Timestamp, urn};

pub(super) const PERMIT_OVERRIDES: &str = "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:permit-overrides";
pub(super) const SET_DENY_OVERRIDES: &str = "urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:deny-overrides";

/// A rule with this inside.
pub(super) fn rule(id: &str, effect: &str, inside: &str) -> String {
    format!(r#"<Rule RuleId="{id}" Effect="{effect}">{inside}</Rule>"#)
}

/// A policy with this inside, after an empty target.
pub(super) fn policy(id: &str, algorithm: &str, inside: &str) -> String {
    format!(
        r#"<Policy xmlns="{}" PolicyId="{id}" Version="1.0" RuleCombiningAlgId="{algorithm}"><Target/>{inside}</Policy>"#,
        urn::XACML_NAMESPACE
    )
}

/// A policy set with this inside, after an empty target.
pub(super) fn policy_set(id: &str, algorithm: &str, inside: &str) -> String {
    format!(
        r#"<PolicySet xmlns="{}" PolicySetId="{id}" Version="1.0" PolicyCombiningAlgId="{algorithm}"><Target/>{inside}</PolicySet>"#,
        urn::XACML_NAMESPACE
    )
}

/// An expression, from Lisp-like text: `(function a b)`, `integer:3`, `{integer subject age}`, `{!integer subject age}` if
/// it must be present, `'function` and `$variable`. Names of functions are without prefix, of version 1.0 unless said so.
pub(super) fn expression(text: &str) -> String {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('{', " { ").replace('}', " } ");
    let mut out = String::new();
    let mut words = spaced.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "(" => out += &format!(r#"<Apply FunctionId="{}">"#, function(words.next().unwrap())),
            ")" => out += "</Apply>",
            "{" => {
                let (kind, category, id) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                assert_eq!(words.next(), Some("}"));
                out += &designator(kind.trim_start_matches('!'), category, id, kind.starts_with('!'));
            }
            _ => match word.split_at(1) {
                ("'", name) => out += &format!(r#"<Function FunctionId="{}"/>"#, function(name)),
                ("$", id) => out += &format!(r#"<VariableReference VariableId="{id}"/>"#),
                _ => {
                    let (kind, value) = word.split_once(':').unwrap();
                    let value = value.replace('~', " ");
                    out += &format!(r#"<AttributeValue DataType="{}">{value}</AttributeValue>"#, data_type(kind));
                }
            },
        }
    }
    out
}

pub(super) fn condition(text: &str) -> String {
    format!("<Condition>{}</Condition>", expression(text))
}

/// A target of alternatives, each of which compares strings: `category id value`.
pub(super) fn target(alternatives: &[&str]) -> String {
    let all_ofs = alternatives.iter().map(|alternative| format!("<AllOf>{}</AllOf>", matching(alternative)));
    format!("<Target><AnyOf>{}</AnyOf></Target>", all_ofs.collect::<String>())
}

pub(super) fn matching(text: &str) -> String {
    let [category, id, value] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let required = id.starts_with('!');
    format!(
        r#"<Match MatchId="{}"><AttributeValue DataType="{}">{value}</AttributeValue>{}</Match>"#,
        urn::STRING_EQUAL,
        DataType::String.uri(),
        designator("string", category, id.trim_start_matches('!'), required)
    )
}

fn designator(kind: &str, category: &str, id: &str, required: bool) -> String {
    let (category, kind) = (category_urn(category), data_type(kind));
    format!(
        r#"<AttributeDesignator Category="{category}" AttributeId="{id}" DataType="{kind}" MustBePresent="{required}"/>"#
    )
}

pub(super) fn function(name: &str) -> String {
    let (version, name) = name.split_once('/').unwrap_or(("1.0", name));
    format!("urn:oasis:names:tc:xacml:{version}:function:{name}")
}

fn data_type(name: &str) -> &str {
    DataType::from_name(name).map_or(name, |known| known.uri())
}

fn category_urn(name: &str) -> &str {
    match name {
        "subject" => urn::CATEGORY_SUBJECT,
        "resource" => urn::CATEGORY_RESOURCE,
        "action" => urn::CATEGORY_ACTION,
        "environment" => super::request::CATEGORY_ENVIRONMENT,
        other => other,
    }
}

/// A request from `category id type value`.
pub(super) fn request(attributes: &[&str]) -> Request {
    let mut request = Request::default();
    for text in attributes {
        let [category, id, kind, value] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
        let category = category_urn(category).to_owned();
        let value = RequestValue { data_type: data_type(kind).to_owned(), text: value.replace('~', " ") };
        let attribute = RequestAttribute { id: id.to_owned(), values: vec![value], ..RequestAttribute::default() };
        match request.categories.iter_mut().find(|known| known.category == category) {
            Some(known) => known.attributes.push(attribute),
            None => request.categories.push(Category { category, id: None, attributes: vec![attribute] }),
        }
    }
    request
}

pub(super) fn document(xml: &str) -> Result<PolicyDocument, PolicyError> {
    parse("policy.xml", xml.as_bytes())
}

pub(super) fn compiled(xml: &str, semantics: Semantics) -> Result<CompiledPolicy, PolicyError> {
    CompiledPolicy::compile(&document(xml)?, &[], semantics)
}

pub(super) fn answer(policy: &CompiledPolicy, request: &Request) -> Response {
    policy.decide(request, Environment::at(Timestamp::from_unix_seconds(1_767_225_600)))
}

/// The one result of a policy that compiles.
pub(super) fn decide(xml: &str, request: &Request, semantics: Semantics) -> DecisionResult {
    let policy = compiled(xml, semantics).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    answer(&policy, request).results.remove(0)
}
