//! Requests as clients write them, and what is refused; answers in both shapes.

use super::*;
use crate::xacml::response::{Decision, MissingAttribute, StatusCode};
use crate::xacml::testing::{PERMIT_OVERRIDES, answer, compiled, policy, rule, target};

fn read(text: &str) -> Result<Request> {
    read_request(text.as_bytes(), Semantics::Standard)
}

fn values(request: &Request) -> Vec<(&str, &str)> {
    let values = request.categories.iter().flat_map(|category| &category.attributes).flat_map(|one| &one.values);
    values.map(|value| (value.data_type.rsplit(['#', ':']).next().unwrap(), value.text.as_str())).collect()
}

#[test]
fn types_are_told_by_values() {
    let of = |value: &str| {
        read(&format!(r#"{{"Request":{{"AccessSubject":{{"Attribute":{{"AttributeId":"a","Value":{value}}}}}}}}}"#))
    };
    for (value, expected) in [
        (r#""x""#, vec![("string", "x")]),
        ("true", vec![("boolean", "true")]),
        ("-3", vec![("integer", "-3")]),
        ("1.5", vec![("double", "1.5")]),
        ("[1, 2]", vec![("integer", "1"), ("integer", "2")]),
        ("[1, 2.5]", vec![("double", "1"), ("double", "2.5")]),
        (r#""3","DataType":"integer""#, vec![("integer", "3")]),
        (r#""a:b","DataType":"http://www.w3.org/2001/XMLSchema#anyURI""#, vec![("anyURI", "a:b")]),
        ("[]", vec![]),
    ] {
        assert_eq!(values(&of(value).unwrap()), expected, "{value}");
    }
    for (value, code) in [
        ("null", "request_member"),
        ("[null]", "value_invalid"),
        ("[[1]]", "value_invalid"),
        ("{}", "value_invalid"),
        (r#""x","DataType":"integer""#, "value_invalid"),
    ] {
        assert_eq!(of(value).unwrap_err().code, code, "{value}");
    }
}

#[test]
fn names_begin_large_or_small_and_things_stand_alone_or_in_lists() {
    let large = read(
        r#"{"Request":{"Action":{"Id":"a","Attribute":[{"AttributeId":"x","Value":"1","IncludeInResult":true}]}}}"#,
    )
    .unwrap();
    let small = read("\u{feff}{\"request\":{\"action\":[{\"id\":\"a\",\"attribute\":{\"attributeId\":\"x\",\"value\":[\"1\"],\"includeInResult\":true}}]}}").unwrap();
    let general = read(&format!(r#"{{"Request":{{"Category":{{"CategoryId":"{}","Id":"a","Attribute":{{"AttributeId":"x","Value":"1","IncludeInResult":true}}}}}}}}"#, urn::CATEGORY_ACTION)).unwrap();
    assert_eq!(large, small);
    assert_eq!(large, general);
}

#[test]
fn what_can_be_read_in_two_ways_or_not_at_all_is_refused() {
    for (text, code) in [
        (r#"{"Request":{},"Request":{}}"#, "request_json"),
        (r#"{"Request":{},"request":{}}"#, "request_member_twice"),
        (r#"{"Request":{"Action":{},"action":{}}}"#, "request_member_twice"),
        (r#"{"Request":{}} x"#, "request_json"),
        (r#"{"Request":{},}"#, "request_json"),
        (r#"{"Request":[]}"#, "request_member"),
        ("{}", "request_member"),
        ("[]", "request_json"),
        ("", "request_json"),
        (r#"{"Request":{"Surprise":1}}"#, "request_member_unknown"),
        (r#"{"Request":{"Action":1}}"#, "request_member"),
        (r#"{"Request":{"Action":[1]}}"#, "request_member"),
        (r#"{"Request":{"Category":{}}}"#, "request_member"),
        (r#"{"Request":{"Action":{"Attribute":{"Value":"1"}}}}"#, "request_member"),
        (r#"{"Request":{"Action":{"Attribute":{"AttributeId":"a"}}}}"#, "request_member"),
        (r#"{"Request":{"ReturnPolicyIdList":"true"}}"#, "request_member"),
        (r#"{"Request":{"MultiRequests":{"RequestReference":{"ReferenceId":[1]}}}}"#, "request_member"),
    ] {
        assert_eq!(read(text).unwrap_err().code, code, "{text}");
    }
    assert_eq!(read(&"[".repeat(100_000)).unwrap_err().code, "request_json");
    let large = format!(
        r#"{{"Request":{{"Action":{{"Attribute":[{}]}}}}}}"#,
        vec![r#"{"AttributeId":"abcdefghij","Value":"0123456789"}"#; 25_000].join(",")
    );
    assert!(large.len() > 1 << 20);
    assert_eq!(read(&large).unwrap_err().code, "request_too_large");
}

#[test]
fn altinn_reads_strings_of_three_types_and_leaves_what_it_does_not_know() {
    let of = |text: &str| read_request(text.as_bytes(), Semantics::Altinn);
    let read = of(r#"{"Request":{"XYZ":1,"AccessSubject":[{"Attribute":[{"AttributeId":"a","Value":"1",},],},],"RecipientSubject":[{}]}}"#).unwrap();
    assert_eq!((read.categories.len(), values(&read)), (1, vec![("string", "1")]));
    for wrong in [r#""Value":1"#, r#""Value":"1","DataType":"boolean""#] {
        assert!(of(&format!(r#"{{"Request":{{"Action":{{"Attribute":{{"AttributeId":"a",{wrong}}}}}}}}}"#)).is_err());
    }
    let multi = |references: &str| {
        of(&format!(r#"{{"Request":{{"Action":[{{"Id":"a"}},{{"Id":"a"}}],"Category":[{{"CategoryId":"c"}}],"MultiRequests":{{"RequestReference":[{references}]}}}}}}"#)).unwrap()
    };
    let reference = r#"{"ReferenceId":["a"]}"#;
    assert_eq!((multi(reference).references.len(), multi(reference).categories.len()), (0, 2));
    let two = multi(&[reference, reference].join(","));
    assert_eq!((two.references.len(), two.categories.len()), (2, 1));
}

#[test]
fn commas_that_end_lists_are_dropped_and_others_are_not() {
    assert_eq!(without_trailing_commas(r#"[1, ] {"a,]": ",\",}",} ,"#), r#"[1 ] {"a,]": ",\",}"} ,"#);
}

#[test]
fn answers_have_the_shape_of_their_semantics() {
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &target(&["action id read"])));
    let text = r#"{"Request":{"Action":{"Attribute":{"AttributeId":"id","Value":"read","IncludeInResult":true}}}}"#;
    let told = |semantics| {
        let request = read_request(text.as_bytes(), semantics).unwrap();
        write_response(&answer(&compiled(&xml, semantics).unwrap(), &request), semantics)
    };
    let standard: serde_json::Value = serde_json::from_str(&told(Semantics::Standard)).unwrap();
    assert_eq!(standard["Response"][0]["Decision"], "Permit");
    assert_eq!(standard["Response"][0]["Status"]["StatusCode"]["Value"], StatusCode::Ok.uri());
    assert_eq!(standard["Response"][0]["Category"][0]["Attribute"][0]["Value"][0], "read");
    let altinn: serde_json::Value = serde_json::from_str(&told(Semantics::Altinn)).unwrap();
    assert_eq!(altinn["response"][0]["decision"], "Permit");
    assert_eq!(altinn["response"][0]["category"][0]["attribute"][0]["value"], "read");
    assert!(altinn["response"][0]["policyIdentifierList"].is_null() && altinn["response"][0]["obligations"].is_null());
}

#[test]
fn a_missing_attribute_is_told_as_xml() {
    let mut response = crate::xacml::response::Response::indeterminate(StatusCode::MissingAttribute, "m");
    let missing = MissingAttribute { category: "c".into(), id: "<a>".into(), data_type: "d".into(), issuer: None };
    response.results[0].status.missing = Some(Box::new(missing));
    assert_eq!(response.results[0].decision, Decision::Indeterminate);
    let text = write_response(&response, Semantics::Standard);
    assert!(text.contains(r#"AttributeId=\"&lt;a&gt;\""#), "{text}");
}
