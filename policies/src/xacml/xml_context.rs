//! Decision requests and answers as XML (XACML 3.0, 5.42–5.57).
//!
//! Elements and attributes that are not known are refused; those of other namespaces are XML Schema's. `Content` is read
//! over: only selectors, which are refused, could look into it. What `MultiRequests` refers to may be named `xml:id` or, as
//! some write it, `id`. Altinn answers a request in XML as one, whatever it refers to.

use std::fmt::Write as _;

use roxmltree::Node;

use super::Semantics;
use super::request::{Category, REQUEST_BYTES_MAX, Request, RequestAttribute, RequestError, RequestValue};
use super::response::{Assignment, Decision, DecisionResult, MissingAttribute, Notice, Response, StatusCode};
use super::xml::{self, elements};
use crate::urn;

type Result<T> = std::result::Result<T, RequestError>;

/// Reads a request.
pub fn read_request(bytes: &[u8], semantics: Semantics) -> Result<Request> {
    if bytes.len() > REQUEST_BYTES_MAX {
        let message = format!("the request has {} bytes, more than {REQUEST_BYTES_MAX}", bytes.len());
        return Err(RequestError::new("request_too_large", message));
    }
    let not_xml = |error: xml::XmlError| RequestError::new("request_xml", error.to_string());
    let text = xml::decode(bytes).map_err(not_xml)?;
    let document = xml::tree(&text).map_err(not_xml)?;
    let root = document.root_element();
    expect(root, "Request")?;
    known(root, &["ReturnPolicyIdList", "CombinedDecision"])?;
    let mut request = Request {
        return_policy_ids: flag(root, "ReturnPolicyIdList")?,
        combined_decision: flag(root, "CombinedDecision")?,
        ..Request::default()
    };
    for child in elements(root) {
        match name(child)? {
            "Attributes" => request.categories.push(category(child)?),
            "MultiRequests" => {
                for reference in elements(child) {
                    expect(reference, "RequestReference")?;
                    let ids = elements(reference).map(|one| {
                        expect(one, "AttributesReference")?;
                        known(one, &["ReferenceId"])?;
                        required(one, "ReferenceId")
                    });
                    request.references.push(ids.collect::<Result<_>>()?);
                }
            }
            "RequestDefaults" => {}
            _ => return Err(unexpected(child)),
        }
    }
    if semantics == Semantics::Altinn {
        request.references.clear();
    }
    Ok(request)
}

fn category(node: Node<'_, '_>) -> Result<Category> {
    known(node, &["Category", "id"])?;
    let own = node.attributes().find(|one| one.namespace().is_none() && one.name() == "id").map(|one| one.value());
    let id = match (node.attribute(("http://www.w3.org/XML/1998/namespace", "id")), own) {
        (Some(id), Some(other)) if id != other => {
            return Err(RequestError::new("request_attribute", format!("`Attributes` is both `{id}` and `{other}`")));
        }
        (id, other) => id.or(other).map(str::to_owned),
    };
    let mut category = Category { category: required(node, "Category")?, id, attributes: Vec::new() };
    for child in elements(node) {
        match name(child)? {
            "Content" => {}
            "Attribute" => {
                known(child, &["AttributeId", "IncludeInResult", "Issuer"])?;
                let values = elements(child).map(|value| {
                    expect(value, "AttributeValue")?;
                    match elements(value).next() {
                        Some(inner) => Err(unexpected(inner)),
                        None => Ok(RequestValue { data_type: required(value, "DataType")?, text: xml::text(value) }),
                    }
                });
                category.attributes.push(RequestAttribute {
                    id: required(child, "AttributeId")?,
                    issuer: child.attribute("Issuer").map(str::to_owned),
                    include_in_result: flag(child, "IncludeInResult")?,
                    values: values.collect::<Result<_>>()?,
                });
            }
            _ => return Err(unexpected(child)),
        }
    }
    Ok(category)
}

/// Reads an answer, as another decision point wrote it. Of its status only the code is read.
pub fn read_response(bytes: &[u8]) -> Result<Response> {
    let not_xml = |error: xml::XmlError| RequestError::new("response_xml", error.to_string());
    let text = xml::decode(bytes).map_err(not_xml)?;
    let document = xml::tree(&text).map_err(not_xml)?;
    expect(document.root_element(), "Response")?;
    Ok(Response { results: elements(document.root_element()).map(read_result).collect::<Result<_>>()? })
}

fn read_result(node: Node<'_, '_>) -> Result<DecisionResult> {
    expect(node, "Result")?;
    let mut result = DecisionResult::plain(Decision::Indeterminate);
    for child in elements(node) {
        match name(child)? {
            "Decision" => {
                let text = xml::text(child);
                let wrong = || RequestError::new("response_decision", format!("`{text}` is no decision"));
                result.decision = Decision::parse(text.trim()).ok_or_else(wrong)?;
            }
            "Status" => {
                let code = elements(child).find(|one| one.tag_name().name() == "StatusCode");
                let uri = code.map_or(Ok(String::new()), |code| required(code, "Value"))?;
                let wrong = || RequestError::new("response_status", format!("`{uri}` is no status code"));
                result.status.code = StatusCode::from_uri(&uri).ok_or_else(wrong)?;
            }
            "Obligations" => result.obligations = read_notices(child, "Obligation", "ObligationId")?,
            "AssociatedAdvice" => result.advice = read_notices(child, "Advice", "AdviceId")?,
            "Attributes" => result.categories.push(category(child)?),
            "PolicyIdentifierList" => {}
            _ => return Err(unexpected(child)),
        }
    }
    Ok(result)
}

fn read_notices(node: Node<'_, '_>, element: &str, id: &str) -> Result<Vec<Notice>> {
    let assignment = |one: Node<'_, '_>| {
        expect(one, "AttributeAssignment")?;
        Ok(Assignment {
            id: required(one, "AttributeId")?,
            category: one.attribute("Category").map(str::to_owned),
            issuer: one.attribute("Issuer").map(str::to_owned),
            data_type: required(one, "DataType")?,
            value: xml::text(one),
        })
    };
    let notice = |one: Node<'_, '_>| {
        expect(one, element)?;
        Ok(Notice { id: required(one, id)?, assignments: elements(one).map(assignment).collect::<Result<_>>()? })
    };
    elements(node).map(notice).collect()
}

/// Checks that there are no attributes but these.
fn known(node: Node<'_, '_>, names: &[&str]) -> Result<()> {
    match node.attributes().find(|one| one.namespace().is_none() && !names.contains(&one.name())) {
        Some(one) => {
            let message = format!("`{}` has no attribute `{}`", node.tag_name().name(), one.name());
            Err(RequestError::new("request_attribute", message))
        }
        None => Ok(()),
    }
}

fn flag(node: Node<'_, '_>, name: &str) -> Result<bool> {
    let text = required(node, name)?;
    let wrong = || RequestError::new("request_attribute", format!("`{name}` is `{text}`, not true or false"));
    xml::boolean(&text).ok_or_else(wrong)
}

fn required(node: Node<'_, '_>, name: &str) -> Result<String> {
    let missing = || RequestError::new("request_attribute", format!("`{}` without `{name}`", node.tag_name().name()));
    node.attribute(name).map(str::to_owned).ok_or_else(missing)
}

fn name<'a>(node: Node<'a, '_>) -> Result<&'a str> {
    match node.tag_name().namespace() {
        Some(urn::XACML_NAMESPACE) => Ok(node.tag_name().name()),
        _ => Err(unexpected(node)),
    }
}

fn expect(node: Node<'_, '_>, expected: &str) -> Result<()> {
    if name(node)? == expected { Ok(()) } else { Err(unexpected(node)) }
}

fn unexpected(node: Node<'_, '_>) -> RequestError {
    let message = format!("`{}` does not belong where it stands", node.tag_name().name());
    RequestError::new("request_element", message)
}

/// Writes an answer.
pub fn write_response(response: &Response) -> String {
    let mut out = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    let _ = write!(out, "\n<Response xmlns=\"{}\">", urn::XACML_NAMESPACE);
    for result in &response.results {
        write_result(&mut out, result);
    }
    out.push_str("</Response>\n");
    out
}

fn write_result(out: &mut String, result: &DecisionResult) {
    let _ = write!(out, "<Result><Decision>{}</Decision><Status>", result.decision.as_str());
    let _ = write!(out, r#"<StatusCode Value="{}"/>"#, result.status.code.uri());
    if let Some(message) = &result.status.message {
        let _ = write!(out, "<StatusMessage>{}</StatusMessage>", escape(message));
    }
    if let Some(missing) = &result.status.missing {
        let _ = write!(out, "<StatusDetail>{}</StatusDetail>", missing_attribute_detail(missing));
    }
    out.push_str("</Status>");
    write_notices(out, ["Obligations", "Obligation", "ObligationId"], &result.obligations);
    write_notices(out, ["AssociatedAdvice", "Advice", "AdviceId"], &result.advice);
    for category in &result.categories {
        let _ = write!(out, r#"<Attributes Category="{}">"#, escape(&category.category));
        for attribute in &category.attributes {
            let _ = write!(out, r#"<Attribute AttributeId="{}" IncludeInResult="true""#, escape(&attribute.id));
            write_optional(out, "Issuer", attribute.issuer.as_deref());
            out.push('>');
            for value in &attribute.values {
                let (data_type, text) = (escape(&value.data_type), escape(&value.text));
                let _ = write!(out, r#"<AttributeValue DataType="{data_type}">{text}</AttributeValue>"#);
            }
            out.push_str("</Attribute>");
        }
        out.push_str("</Attributes>");
    }
    if !result.policies.is_empty() {
        out.push_str("<PolicyIdentifierList>");
        for policy in &result.policies {
            let name = if policy.is_set { "PolicySetIdReference" } else { "PolicyIdReference" };
            let _ = write!(out, r#"<{name} Version="{}">{}</{name}>"#, policy.version, escape(&policy.id));
        }
        out.push_str("</PolicyIdentifierList>");
    }
    out.push_str("</Result>");
}

fn write_notices(out: &mut String, [list, name, id]: [&str; 3], notices: &[Notice]) {
    if notices.is_empty() {
        return;
    }
    let _ = write!(out, "<{list}>");
    for notice in notices {
        let _ = write!(out, r#"<{name} {id}="{}">"#, escape(&notice.id));
        for assignment in &notice.assignments {
            let (id, data_type) = (escape(&assignment.id), escape(&assignment.data_type));
            let _ = write!(out, r#"<AttributeAssignment AttributeId="{id}" DataType="{data_type}""#);
            write_optional(out, "Category", assignment.category.as_deref());
            write_optional(out, "Issuer", assignment.issuer.as_deref());
            let _ = write!(out, ">{}</AttributeAssignment>", escape(&assignment.value));
        }
        let _ = write!(out, "</{name}>");
    }
    let _ = write!(out, "</{list}>");
}

fn write_optional(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = write!(out, r#" {name}="{}""#, escape(value));
    }
}

/// `MissingAttributeDetail`, with its namespace, so that it can stand alone.
pub(super) fn missing_attribute_detail(missing: &MissingAttribute) -> String {
    let (category, id, data_type) = (escape(&missing.category), escape(&missing.id), escape(&missing.data_type));
    let mut out = format!(
        r#"<MissingAttributeDetail xmlns="{}" Category="{category}" AttributeId="{id}" DataType="{data_type}""#,
        urn::XACML_NAMESPACE
    );
    write_optional(&mut out, "Issuer", missing.issuer.as_deref());
    out.push_str("/>");
    out
}

/// Text that stands in XML as itself. What XML cannot hold is replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests;
