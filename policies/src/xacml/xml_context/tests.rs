//! Requests and answers in XML.

use super::*;
use crate::xacml::request::Request;
use crate::xacml::response::{PolicyIdentifier, StatusCode};

fn request(inside: &str) -> Result<Request> {
    let xml = format!(
        r#"<Request xmlns="{}" ReturnPolicyIdList="true" CombinedDecision="false">{inside}</Request>"#,
        urn::XACML_NAMESPACE
    );
    read_request(xml.as_bytes(), Semantics::Standard)
}

#[test]
fn a_request_is_read() {
    let read = request(r#"<Attributes Category="c" xml:id="a"><Content><x/></Content><Attribute AttributeId="i" IncludeInResult="1" Issuer="me"><AttributeValue DataType="d"> v </AttributeValue><AttributeValue DataType="d"/></Attribute></Attributes><MultiRequests><RequestReference><AttributesReference ReferenceId="a"/></RequestReference></MultiRequests>"#).unwrap();
    let attribute = &read.categories[0].attributes[0];
    assert_eq!(
        (attribute.values.len(), attribute.values[0].text.as_str(), attribute.include_in_result),
        (2, " v ", true)
    );
    assert_eq!((read.references, read.return_policy_ids), (vec![vec!["a".to_owned()]], true));
    assert_eq!((read.categories[0].id.as_deref(), attribute.issuer.as_deref()), (Some("a"), Some("me")));
}

#[test]
fn references_are_to_either_id_and_not_for_altinn() {
    let inside = r#"<Attributes Category="c" id="a"/><Attributes Category="c" xml:id="b" id="b"/><MultiRequests><RequestReference><AttributesReference ReferenceId="a"/></RequestReference><RequestReference><AttributesReference ReferenceId="b"/></RequestReference></MultiRequests>"#;
    assert_eq!(request(inside).unwrap().decisions(Semantics::Standard).unwrap().len(), 2);
    let xml = format!(
        r#"<Request xmlns="{}" ReturnPolicyIdList="true" CombinedDecision="false">{inside}</Request>"#,
        urn::XACML_NAMESPACE
    );
    let of_altinn = read_request(xml.as_bytes(), Semantics::Altinn).unwrap();
    assert_eq!(of_altinn.decisions(Semantics::Altinn).unwrap().len(), 1);
}

#[test]
fn what_is_not_a_request_is_refused() {
    for (inside, code) in [
        ("<Surprise/>", "request_element"),
        ("<Attributes/>", "request_attribute"),
        (
            r#"<Attributes Category="c"><Attribute AttributeId="i" IncludeInResult="no"/></Attributes>"#,
            "request_attribute",
        ),
        (
            r#"<Attributes Category="c"><Attribute AttributeId="i" IncludeInResult="true"><AttributeValue DataType="d"><x/></AttributeValue></Attribute></Attributes>"#,
            "request_element",
        ),
        (r#"<Attributes Category="c" Surprise=""/>"#, "request_attribute"),
        (r#"<Attributes Category="c" xml:id="a" id="b"/>"#, "request_attribute"),
        (
            r#"<Attributes Category="c"><Attribute AttributeId="i" IncludeInResult="true" DataType="d"/></Attributes>"#,
            "request_attribute",
        ),
        (
            r#"<MultiRequests><RequestReference><AttributesReference ReferenceId="a" Id="a"/></RequestReference></MultiRequests>"#,
            "request_attribute",
        ),
        ("<", "request_xml"),
    ] {
        assert_eq!(request(inside).unwrap_err().code, code, "{inside}");
    }
    assert_eq!(read_request(b"<Request/>", Semantics::Standard).unwrap_err().code, "request_element");
    assert_eq!(
        read_request(&vec![b' '; REQUEST_BYTES_MAX + 1], Semantics::Standard).unwrap_err().code,
        "request_too_large"
    );
    let deep = "<a>".repeat(1_000);
    assert_eq!(request(&deep).unwrap_err().code, "request_xml");
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let assignment = Assignment {
        id: "a".into(),
        category: Some("c".into()),
        issuer: None,
        data_type: "d".into(),
        value: "<&>\"\n".into(),
    };
    let mut result = DecisionResult::plain(Decision::Deny);
    result.obligations.push(Notice { id: "o".into(), assignments: vec![assignment.clone()] });
    result.advice.push(Notice { id: "v".into(), assignments: vec![assignment] });
    let value = RequestValue { data_type: "d".into(), text: "t".into() };
    let attribute = RequestAttribute { id: "i".into(), issuer: None, include_in_result: true, values: vec![value] };
    result.categories.push(Category { category: "c".into(), id: None, attributes: vec![attribute] });
    let mut failed = DecisionResult::plain(Decision::Indeterminate);
    failed.status.code = StatusCode::ProcessingError;
    let response = Response { results: vec![result, failed] };
    assert_eq!(read_response(write_response(&response).as_bytes()).unwrap(), response);
    let mut with_policies = response.clone();
    with_policies.results[0].policies.push(PolicyIdentifier { is_set: true, id: "p".into(), version: "1.0".into() });
    assert!(write_response(&with_policies).contains(r#"<PolicySetIdReference Version="1.0">p</PolicySetIdReference>"#));
}
