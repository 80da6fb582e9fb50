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
    let typed =
        |value: &str| of(&format!(r#"{{"Request":{{"Action":{{"Attribute":{{"AttributeId":"a",{value}}}}}}}}}"#));
    for (wrong, code) in [
        (r#""Value":1"#, "value_invalid"),
        (r#""Value":"1","DataType":"boolean""#, "data_type_unknown"),
        (r#""Value":"1","DataType":"integer""#, "data_type_unknown"),
    ] {
        assert_eq!(typed(wrong).unwrap_err().code, code, "{wrong}");
    }
    for (right, kind) in [
        (r#""Value":"1","DataType":"""#, "string"),
        (r#""Value":"1","DataType":"anyURI""#, "anyURI"),
        (r#""Value":"1","DataType":"http://www.w3.org/2001/XMLSchema#integer""#, "integer"),
    ] {
        assert_eq!(values(&typed(right).unwrap()), vec![(kind, "1")]);
    }
    let multi = |references: &str| {
        of(&format!(r#"{{"Request":{{"Action":[{{"Id":"a"}},{{"Id":"a"}}],"Environment":{{}},"Category":[{{"CategoryId":"c"}}],"MultiRequests":{{"RequestReference":[{references}]}}}}}}"#)).unwrap()
    };
    let reference = r#"{"ReferenceId":["a"]}"#;
    assert_eq!((multi(reference).references.len(), multi(reference).categories.len()), (0, 2));
    let two = multi(&[reference, reference].join(","));
    assert_eq!((two.references.len(), two.categories.len()), (2, 1));
}

#[test]
fn altinn_joins_attributes_and_follows_category_ids() {
    let of = |text: &str| read_request(text.as_bytes(), Semantics::Altinn);
    let attribute = |id: &str, value: &str, include: bool| {
        format!(r#"{{"AttributeId":"{id}","Value":"{value}","IncludeInResult":{include}}}"#)
    };
    let attributes = [attribute("a", "1", true), attribute("b", "2", false), attribute("a", "3", false)].join(",");
    let joined = of(&format!(r#"{{"Request":{{"Action":{{"Attribute":[{attributes}]}}}}}}"#)).unwrap();
    assert_eq!(values(&joined), vec![("string", "1"), ("string", "3"), ("string", "2")]);
    let [first, second] = joined.categories[0].attributes.as_slice() else { panic!() };
    assert_eq!((first.include_in_result, second.include_in_result), (true, false));

    let text = r#"{"Request":{"Action":[{},{"CategoryId":"x"},{"CategoryId":""}],"Category":[{"CategoryId":"y"},{}]}}"#;
    let read = of(text).unwrap();
    let categories: Vec<_> = read.categories.iter().map(|one| one.category.as_str()).collect();
    assert_eq!(categories, [urn::CATEGORY_ACTION, "x", "x", "y", "y"]);
    assert_eq!(of(r#"{"Request":{"Category":{}}}"#).unwrap_err().code, "request_member");
    // The standard has one name for it.
    let named = |id: &str| {
        read_request(format!(r#"{{"Request":{{"Action":{{"CategoryId":"{id}"}}}}}}"#).as_bytes(), Semantics::Standard)
    };
    assert!(named(urn::CATEGORY_ACTION).is_ok());
    assert_eq!(named("x").unwrap_err().code, "request_member");
}

#[test]
fn altinn_wants_an_id_wherever_it_is_referred_to() {
    let of = |references: usize| {
        let references = vec![r#"{"ReferenceId":["a"]}"#; references].join(",");
        let text = format!(
            r#"{{"Request":{{"Action":[{{"Id":"a"}},{{}}],"MultiRequests":{{"RequestReference":[{references}]}}}}}}"#
        );
        read_request(text.as_bytes(), Semantics::Altinn).map(|request| request.references.len())
    };
    assert_eq!(of(1).unwrap(), 0);
    assert_eq!(of(2).unwrap_err().code, "category_id_missing");
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
