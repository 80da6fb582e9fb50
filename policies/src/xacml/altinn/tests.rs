//! Where Altinn's engine and the standard give different answers, and where they do not.

use crate::xacml::Semantics;
use crate::xacml::response::{Decision, StatusCode};
use crate::xacml::testing::{
    PERMIT_OVERRIDES, compiled, condition, decide, function, policy, policy_set, request, rule, target,
};

const READ: [&str; 3] = ["subject id string a", "resource id string vat", "action id string read"];

/// Decision under both semantics: Altinn, standard.
fn both(xml: &str, attributes: &[&str]) -> (Decision, Decision) {
    let is = |semantics| decide(xml, &request(attributes), semantics).decision;
    (is(Semantics::Altinn), is(Semantics::Standard))
}

fn permit(inside: &str) -> String {
    policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", inside))
}

fn any_ofs(of: &[&[&str]]) -> String {
    let inside: String =
        of.iter().map(|alternatives| target(alternatives).replace("<Target>", "").replace("</Target>", "")).collect();
    format!("<Target>{inside}</Target>")
}

#[test]
fn where_both_agree() {
    let xml = permit(&any_ofs(&[
        &["subject id a", "subject id b"],
        &["resource id vat"],
        &["action id read", "action id write"],
    ]));
    assert_eq!(both(&xml, &READ), (Decision::Permit, Decision::Permit));
    assert_eq!(
        both(&xml, &["subject id string c", READ[1], READ[2]]),
        (Decision::NotApplicable, Decision::NotApplicable)
    );
    assert_eq!(both(&xml, &[READ[0], READ[1]]), (Decision::NotApplicable, Decision::NotApplicable));
    // No subject at all in the rule is every subject.
    assert_eq!(both(&permit(&any_ofs(&[&["action id read"]])), &READ), (Decision::Permit, Decision::Permit));
}

#[test]
fn two_any_ofs_of_a_category_are_alternatives() {
    let xml = permit(&any_ofs(&[&["subject id a"], &["subject id b"], &["resource id vat"]]));
    assert_eq!(both(&xml, &READ), (Decision::Permit, Decision::NotApplicable));
}

#[test]
fn the_policys_target_and_the_environment_are_not_looked_at() {
    let xml = permit("").replace("<Target/>", &target(&["subject id b"]));
    assert_eq!(both(&xml, &READ), (Decision::Permit, Decision::NotApplicable));
    assert_eq!(both(&permit(&target(&["environment id b"])), &READ), (Decision::Permit, Decision::NotApplicable));
}

#[test]
fn a_conjunction_of_categories_is_taken_apart() {
    let xml = permit(&target(&["resource id vat"]).replace(
        "</AllOf>",
        &format!(
            "{}</AllOf><AllOf>{}{}</AllOf>",
            crate::xacml::testing::matching("action id write"),
            crate::xacml::testing::matching("resource id other"),
            crate::xacml::testing::matching("action id read")
        ),
    ));
    assert_eq!(both(&xml, &READ), (Decision::Permit, Decision::NotApplicable));
}

#[test]
fn types_of_literals_count_and_types_of_designators_do_not() {
    let xml = permit(&target(&["subject id a"]));
    let of_designator = xml.replacen("XMLSchema#string\" MustBePresent", "XMLSchema#integer\" MustBePresent", 1);
    assert_eq!(decide(&of_designator, &request(&READ), Semantics::Altinn).decision, Decision::Permit);
    assert_eq!(both(&xml, &["subject id anyURI a"]), (Decision::NotApplicable, Decision::NotApplicable));
}

#[test]
fn letters_are_folded_beyond_ascii() {
    let xml = permit(&target(&["subject id FFØR"]))
        .replace("1.0:function:string-equal", "3.0:function:string-equal-ignore-case");
    assert_eq!(both(&xml, &["subject id string ffør"]), (Decision::Permit, Decision::Permit));
}

#[test]
fn what_altinn_does_not_know_is_indeterminate() {
    let unknown = permit(&target(&["subject id a"])).replace("function:string-equal", "function:string-starts-with");
    let result = decide(&unknown, &request(&READ), Semantics::Altinn);
    assert_eq!((result.decision, result.status.code), (Decision::Indeterminate, StatusCode::SyntaxError));
    let legacy = permit("").replace("xacml:3.0:rule", "xacml:1.0:rule");
    assert_eq!(both(&legacy, &READ), (Decision::Indeterminate, Decision::Permit));
    assert_eq!(compiled(&policy_set("s", "x", ""), Semantics::Altinn).unwrap_err().code, "feature_unsupported");
    // Those of sets are taken for those of rules.
    let of_sets = permit("").replace("rule-combining", "policy-combining");
    assert_eq!(decide(&of_sets, &request(&READ), Semantics::Altinn).decision, Decision::Permit);
    let is_in = permit(&target(&["subject id a"])).replace(&function("string-equal"), &function("string-is-in"));
    assert_eq!(decide(&is_in, &request(&READ), Semantics::Altinn).decision, Decision::Permit);
    assert_eq!(
        decide(&is_in, &request(&["subject id string ab"]), Semantics::Altinn).decision,
        Decision::NotApplicable
    );
}

#[test]
fn a_required_attribute_of_resource_or_action_leaves_the_whole_open() {
    let two = |category: &str| {
        policy(
            "p",
            PERMIT_OVERRIDES,
            &[rule("a", "Permit", &target(&[&format!("{category} !none x")])), rule("b", "Permit", "")].concat(),
        )
    };
    for (category, decision) in
        [("action", Decision::Indeterminate), ("resource", Decision::Indeterminate), ("subject", Decision::Permit)]
    {
        assert_eq!(decide(&two(category), &request(&READ), Semantics::Altinn).decision, decision, "{category}");
    }
    let missing = decide(&two("action"), &request(&READ), Semantics::Altinn).status;
    assert_eq!((missing.code, missing.missing.unwrap().id), (StatusCode::MissingAttribute, "none".to_owned()));
    // Of the subject, the rule alone is open, and the status is ok.
    let of_subject = decide(&permit(&target(&["subject !none x"])), &request(&READ), Semantics::Altinn);
    assert_eq!((of_subject.decision, of_subject.status.code), (Decision::Indeterminate, StatusCode::Ok));
    assert_eq!(of_subject.status.missing.unwrap().id, "none");
}

#[test]
fn without_a_rule_about_resource_and_action_nothing_is_decided() {
    for algorithm in ["deny-unless-permit", "permit-unless-deny", "permit-overrides", "unheard-of"] {
        let of = |inside: &str| permit(inside).replace("permit-overrides", algorithm);
        let decided = |inside: &str| decide(&of(inside), &request(&READ), Semantics::Altinn).decision;
        assert_eq!(decided(&target(&["action id write"])), Decision::NotApplicable, "{algorithm}");
        let of_other_subject = match algorithm {
            "deny-unless-permit" => Decision::Deny,
            "permit-unless-deny" => Decision::Permit,
            "permit-overrides" => Decision::NotApplicable,
            _ => Decision::Indeterminate,
        };
        assert_eq!(decided(&target(&["subject id b"])), of_other_subject, "{algorithm}");
    }
}

#[test]
fn what_is_thrown_anywhere_ends_the_decision() {
    let unknown = target(&["subject id a"]).replace("function:string-equal", "function:string-starts-with");
    let two = |inside: &str| {
        let rules = [rule("a", "Permit", &target(&["subject id a"])), rule("b", "Permit", inside)].concat();
        decide(&policy("p", PERMIT_OVERRIDES, &rules), &request(&READ), Semantics::Altinn)
    };
    // Also behind a Permit, but not where no value has the literal's type.
    for (inside, decision) in [
        (unknown.clone(), Decision::Indeterminate),
        (unknown.replace("XMLSchema#string\">", "XMLSchema#anyURI\">"), Decision::Permit),
        (unknown.replace(">a<", ">b<"), Decision::Indeterminate),
        (condition("(string-starts-with string:a {string subject id})"), Decision::Indeterminate),
        (condition("(and boolean:true boolean:true)"), Decision::Indeterminate),
    ] {
        assert_eq!(two(&inside).decision, decision, "{inside}");
    }
    // A selector, even of a rule about another resource.
    let other = any_ofs(&[&["resource id other"], &["subject id a"]]);
    let (before, last) = other.rsplit_once("<AttributeDesignator").unwrap();
    let (_, after) = last.split_once("/>").unwrap();
    let selector = r#"<AttributeSelector Category="x" Path="a" DataType="y" MustBePresent="false"/>"#;
    let result = two(&[before, selector, after].concat());
    assert_eq!((result.decision, result.status.code), (Decision::Indeterminate, StatusCode::SyntaxError));
}

#[test]
fn numbers_have_32_bits_and_uris_are_absolute() {
    let is = |function: &str, kind: &str, literal: &str, value: &str| {
        let xml = permit(&target(&[&format!("subject id {literal}")])).replace("string-equal", function).replacen(
            "XMLSchema#string",
            &format!("XMLSchema#{kind}"),
            1,
        );
        decide(&xml, &request(&[&format!("subject id {kind} {value}")]), Semantics::Altinn).decision
    };
    for (literal, value, decision) in [
        ("007", "7", Decision::Permit),
        ("7", "~+7~", Decision::Permit),
        ("7", "8", Decision::NotApplicable),
        ("7", "x", Decision::NotApplicable),
        ("x", "x", Decision::NotApplicable),
        ("2147483648", "2147483648", Decision::NotApplicable),
    ] {
        assert_eq!(is("integer-equal", "integer", literal, value), decision, "{literal} {value}");
        assert_eq!(is("integer-one-and-only", "integer", literal, value), decision, "{literal} {value}");
    }
    for (literal, value, decision) in [
        ("urn:a:b", "urn:a:b", Decision::Permit),
        ("http://Example.org", "http://example.org/#x", Decision::Permit),
        ("urn:a:b", "urn:a:c", Decision::NotApplicable),
        ("a", "a", Decision::Indeterminate),
    ] {
        assert_eq!(is("anyURI-equal", "anyURI", literal, value), decision, "{literal} {value}");
    }
    for (literal, decision) in [("2026-01-01", Decision::Permit), ("January", Decision::Indeterminate)] {
        assert_eq!(is("date-equal", "date", literal, "2026-01-01"), decision, "{literal}");
    }
}

#[test]
fn space_around_a_literal_counts() {
    let xml = permit(&target(&["subject id a"]).replace(">a<", "> a<"));
    assert_eq!(both(&xml, &READ), (Decision::NotApplicable, Decision::NotApplicable));
}

#[test]
fn what_its_reader_stops_at_is_refused() {
    let apply = condition("(string-equal (string-one-and-only {string subject id}) string:a)");
    let described = apply.replace("string-one-and-only\">", "string-one-and-only\"><Description/>");
    let variable = condition("(string-equal $v string:a)");
    for (inside, message) in [(described, "`Description`"), (variable, "`VariableReference`")] {
        let error = compiled(&permit(&inside), Semantics::Altinn).unwrap_err();
        assert_eq!((error.code, error.line), ("feature_unsupported", 1));
        assert!(error.message.contains(message), "{error}");
    }
    assert!(compiled(&permit(&apply), Semantics::Altinn).is_ok());
}

#[test]
fn conditions_are_one_comparison() {
    let is = |text: &str, attributes: &[&str]| {
        let result = decide(&permit(&condition(text)), &request(attributes), Semantics::Altinn);
        (result.decision, result.status.code)
    };
    let one_and_only = "(integer-equal (integer-one-and-only {integer subject age}) integer:5)";
    assert_eq!(is(one_and_only, &["subject age integer 5"]), (Decision::Permit, StatusCode::Ok));
    assert_eq!(is(one_and_only, &["subject age integer 6"]), (Decision::NotApplicable, StatusCode::Ok));
    let two = ["subject age integer 5", "subject age integer 5"];
    assert_eq!(is(one_and_only, &two), (Decision::Indeterminate, StatusCode::ProcessingError));
    // Only those of the type are counted, and any is compared.
    assert_eq!(
        is(one_and_only, &["subject age string 5", "subject age integer 6"]),
        (Decision::Permit, StatusCode::Ok)
    );
    assert_eq!(is(one_and_only, &[]), (Decision::Indeterminate, StatusCode::Ok));
    assert_eq!(is(one_and_only, &READ), (Decision::Indeterminate, StatusCode::Ok));
    let none = "(integer-equal (date-bag-size {date subject day}) integer:0)";
    assert_eq!(is(none, &READ), (Decision::Permit, StatusCode::Ok));
    assert_eq!(is(none, &["subject day date 2026-01-01"]), (Decision::Indeterminate, StatusCode::Ok));
    assert_eq!(is(none, &["subject day string 2026-01-01"]), (Decision::Permit, StatusCode::Ok));
    // The size of a bag of nothing at all is not known.
    assert_eq!(is(none, &[]), (Decision::Indeterminate, StatusCode::Ok));
    assert_eq!(is("(string-equal {string subject id} string:a)", &READ), (Decision::Permit, StatusCode::Ok));
    let several = ["subject id string b", "subject id string a"];
    assert_eq!(is("(string-equal {string subject id} string:a)", &several), (Decision::Permit, StatusCode::Ok));
    let whichever = "(string-equal (string-one-and-only {string subject id}) string:a)";
    assert_eq!(is(whichever, &several), (Decision::Permit, StatusCode::Ok));
    assert_eq!(is("(string-is-in string:a {string subject id})", &several), (Decision::Permit, StatusCode::Ok));
    // The pattern is what was sent.
    let pattern = "(string-regexp-match string:abc {string subject id})";
    assert_eq!(is(pattern, &["subject id string ^a.c$"]), (Decision::Permit, StatusCode::Ok));
    assert_eq!(is(pattern, &["subject id string ^b"]), (Decision::NotApplicable, StatusCode::Ok));
    assert_eq!(is(pattern, &["subject id string ("]), (Decision::Indeterminate, StatusCode::SyntaxError));
    assert_eq!(is("(and boolean:true boolean:true)", &READ), (Decision::Indeterminate, StatusCode::SyntaxError));
    assert_eq!(is("boolean:true", &READ), (Decision::NotApplicable, StatusCode::Ok));
}

#[test]
fn obligations_are_the_policys_on_permit_and_literal() {
    let obligation = |id: &str, on: &str| {
        format!(
            r#"<ObligationExpression ObligationId="{id}" FulfillOn="{on}"><AttributeAssignmentExpression AttributeId="a" Category="c"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">2</AttributeValue></AttributeAssignmentExpression></ObligationExpression>"#
        )
    };
    let list = |of: &str| format!("<ObligationExpressions>{of}</ObligationExpressions>");
    let of_policy = list(&(obligation("p", "Permit") + &obligation("d", "Deny")));
    let xml = policy("p", PERMIT_OVERRIDES, &(rule("r", "Permit", &list(&obligation("r", "Permit"))) + &of_policy));
    let told = |semantics| {
        decide(&xml, &request(&READ), semantics).obligations.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(told(Semantics::Altinn), ["p"]);
    assert_eq!(told(Semantics::Standard), ["r", "p"]);
}

#[test]
fn attributes_are_repeated_if_some_rule_is_about_the_request() {
    let mut request = request(&READ);
    for category in &mut request.categories {
        category.attributes[0].include_in_result = true;
    }
    let repeated = |xml: &str, semantics| decide(xml, &request, semantics).categories.len();
    let other_subject = permit(&target(&["subject id b"]));
    let other_action = permit(&target(&["action id write"]));
    assert_eq!((repeated(&other_subject, Semantics::Altinn), repeated(&other_action, Semantics::Altinn)), (3, 0));
    assert_eq!((repeated(&other_subject, Semantics::Standard), repeated(&other_action, Semantics::Standard)), (3, 3));
}
