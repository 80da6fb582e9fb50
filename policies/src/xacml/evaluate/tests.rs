//! Targets, policies, sets, variables, obligations and fuel, told by small policies.

use crate::Timestamp;
use crate::xacml::response::{Decision, DecisionResult, Notice, StatusCode};
use crate::xacml::testing::{
    PERMIT_OVERRIDES, SET_DENY_OVERRIDES, answer, compiled, condition, decide, document, expression, policy,
    policy_set, request, rule, target,
};
use crate::xacml::{CompiledPolicy, Environment, Semantics};

const DENY_OVERRIDES: &str = "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides";
const ONLY_ONE: &str = "urn:oasis:names:tc:xacml:1.0:policy-combining-algorithm:only-one-applicable";

fn standard(xml: &str, attributes: &[&str]) -> DecisionResult {
    decide(xml, &request(attributes), Semantics::Standard)
}

fn obligation(id: &str, effect: &str, value: &str) -> String {
    format!(
        r#"<ObligationExpressions><ObligationExpression ObligationId="{id}" FulfillOn="{effect}"><AttributeAssignmentExpression AttributeId="a">{}</AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"#,
        expression(value)
    )
}

#[test]
fn targets_follow_the_tables() {
    let is = |attributes: &[&str]| {
        let inside = target(&["subject id a", "subject id b"]).replace("</Target>", "")
            + &target(&["action id read"]).replace("<Target>", "");
        let result = standard(&policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &inside)), attributes);
        (result.decision, result.status.code)
    };
    assert_eq!(is(&["subject id string b", "action id string read"]).0, Decision::Permit);
    assert_eq!(is(&["subject id string b", "subject id string c", "action id string read"]).0, Decision::Permit);
    assert_eq!(is(&["subject id string c", "action id string read"]).0, Decision::NotApplicable);
    assert_eq!(is(&["subject id string b"]).0, Decision::NotApplicable);
    // Of another type it is another attribute.
    assert_eq!(is(&["subject id anyURI b", "action id string read"]).0, Decision::NotApplicable);
}

#[test]
fn what_cannot_be_known_is_indeterminate_only_if_it_matters() {
    let is = |alternatives: &[&str]| {
        let result = standard(
            &policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &target(alternatives))),
            &["subject id string a"],
        );
        (result.decision, result.status.code)
    };
    assert_eq!(is(&["subject !none x", "subject id a"]), (Decision::Permit, StatusCode::Ok));
    assert_eq!(is(&["subject !none x", "subject id b"]), (Decision::Indeterminate, StatusCode::MissingAttribute));
    assert_eq!(is(&["subject none x"]), (Decision::NotApplicable, StatusCode::Ok));
}

#[test]
fn a_missing_attribute_is_named() {
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &target(&["subject !none x"])));
    let missing = standard(&xml, &[]).status.missing.unwrap();
    assert_eq!((missing.id.as_str(), missing.data_type.as_str()), ("none", "http://www.w3.org/2001/XMLSchema#string"));
}

#[test]
fn an_uncertain_target_taints_what_would_have_been_decided() {
    let is = |rules: &str| {
        let uncertain = target(&["subject !none x"]);
        standard(&policy("p", PERMIT_OVERRIDES, rules).replace("<Target/>", &uncertain), &[]).decision
    };
    assert_eq!(is(&rule("r", "Permit", "")), Decision::Indeterminate);
    assert_eq!(is(&rule("r", "Permit", &target(&["subject id x"]))), Decision::NotApplicable);
}

#[test]
fn kinds_of_indeterminate_are_told_apart_across_policies() {
    let uncertain = target(&["subject !none x"]);
    let permit_maybe = policy("a", DENY_OVERRIDES, &rule("r", "Permit", &uncertain));
    let deny_maybe = policy("b", DENY_OVERRIDES, &rule("r", "Deny", &uncertain));
    let permit = policy("c", DENY_OVERRIDES, &rule("r", "Permit", ""));
    let is = |policies: &[&String]| {
        let inside: String = policies.iter().map(|policy| policy.as_str()).collect();
        standard(&policy_set("s", SET_DENY_OVERRIDES, &inside), &[]).decision
    };
    // What might only have been a Permit does not stand against a Permit; what might have been a Deny does.
    assert_eq!(is(&[&permit_maybe, &permit]), Decision::Permit);
    assert_eq!(is(&[&deny_maybe, &permit]), Decision::Indeterminate);
    assert_eq!(is(&[&permit_maybe]), Decision::Indeterminate);
    assert_eq!(is(&[]), Decision::NotApplicable);
}

#[test]
fn only_one_applicable_looks_at_targets() {
    let with = |id: &str, effect: &str, alternative: &str| {
        policy(id, DENY_OVERRIDES, &rule("r", effect, "")).replace("<Target/>", &target(&[alternative]))
    };
    let both = [with("a", "Permit", "subject id a"), with("b", "Deny", "subject id b")].concat();
    let is = |attributes: &[&str]| standard(&policy_set("s", ONLY_ONE, &both), attributes).decision;
    assert_eq!(is(&["subject id string a"]), Decision::Permit);
    assert_eq!(is(&["subject id string b"]), Decision::Deny);
    assert_eq!(is(&["subject id string c"]), Decision::NotApplicable);
    assert_eq!(is(&["subject id string a", "subject id string b"]), Decision::Indeterminate);
}

#[test]
fn obligations_come_from_what_decided() {
    let inner = policy(
        "p",
        DENY_OVERRIDES,
        &(rule("r", "Permit", &obligation("rule", "Permit", "{string subject id}"))
            + &obligation("policy", "Permit", "integer:2")
            + &obligation("other", "Deny", "integer:2")),
    );
    let set = policy_set("s", SET_DENY_OVERRIDES, &(inner + &obligation("set", "Permit", "string:x")));
    let result = standard(&set, &["subject id string a", "subject id string b"]);
    let told: Vec<_> = result
        .obligations
        .iter()
        .map(|Notice { id, assignments }| {
            (id.as_str(), assignments.iter().map(|one| one.value.as_str()).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(told, [("rule", vec!["a", "b"]), ("policy", vec!["2"]), ("set", vec!["x"])]);
    // One that cannot be told leaves the decision open.
    let failing =
        policy("p", DENY_OVERRIDES, &rule("r", "Permit", &obligation("o", "Permit", "{!string subject none}")));
    let result = standard(&failing, &[]);
    assert_eq!(
        (result.decision, result.status.code, result.obligations.len()),
        (Decision::Indeterminate, StatusCode::MissingAttribute, 0)
    );
}

#[test]
fn variables_are_computed_once() {
    let variables: String = (0..40)
        .map(|at| {
            format!(
                r#"<VariableDefinition VariableId="v{at}">{}</VariableDefinition>"#,
                expression(&format!("(and $v{} $v{})", at + 1, at + 1))
            )
        })
        .collect();
    let last = format!(
        r#"<VariableDefinition VariableId="v40">{}</VariableDefinition>"#,
        expression("(string-is-in string:a {string subject id})")
    );
    let xml = policy("p", PERMIT_OVERRIDES, &format!("{variables}{last}{}", rule("r", "Permit", &condition("$v0"))));
    let policy = compiled(&xml, Semantics::Standard).unwrap();
    let environment = Environment { now: Timestamp::from_unix_seconds(0), fuel_max: 2_000 };
    assert_eq!(policy.decide(&request(&["subject id string a"]), environment).results[0].decision, Decision::Permit);
    let starved = Environment { fuel_max: 50, ..environment };
    let result = policy.decide(&request(&["subject id string a"]), starved).results.remove(0);
    assert_eq!((result.decision, result.status.code), (Decision::Indeterminate, StatusCode::ProcessingError));
}

#[test]
fn shared_sets_cannot_cost_without_end() {
    // Sets each of which names the next one twice.
    let twice = |count: usize| {
        let documents: Vec<_> = (0..count)
            .map(|at| {
                let reference = format!("<PolicySetIdReference>s{}</PolicySetIdReference>", at + 1);
                let inside = if at == count - 1 { String::new() } else { reference.repeat(2) };
                document(&policy_set(&format!("s{at}"), SET_DENY_OVERRIDES, &inside)).unwrap()
            })
            .collect();
        CompiledPolicy::compile(&documents[0], &documents[1..], Semantics::Standard)
    };
    // A thousand million visits are not begun; a quarter of a million end with the fuel.
    assert_eq!(twice(30).unwrap_err().code, "policy_too_large");
    let environment = Environment { now: Timestamp::from_unix_seconds(0), fuel_max: 100_000 };
    let result = twice(18).unwrap().decide(&request(&[]), environment).results.remove(0);
    assert_eq!((result.decision, result.status.code), (Decision::Indeterminate, StatusCode::ProcessingError));
}

#[test]
fn references_take_the_latest_version_allowed() {
    let version = |version: &str, effect: &str| {
        document(&policy("p", DENY_OVERRIDES, &rule("r", effect, "")).replace("\"1.0\"", &format!("\"{version}\"")))
            .unwrap()
    };
    let others = [version("1.0", "Deny"), version("1.9", "Deny"), version("1.10", "Permit"), version("2.0", "Deny")];
    for (attributes, decision) in [
        ("", Decision::Deny),
        ("Version=\"1.*\"", Decision::Permit),
        ("LatestVersion=\"1.10\"", Decision::Permit),
        ("EarliestVersion=\"1.9\" LatestVersion=\"1.9\"", Decision::Deny),
    ] {
        let root = document(&policy_set(
            "s",
            SET_DENY_OVERRIDES,
            &format!("<PolicyIdReference {attributes}>p</PolicyIdReference>"),
        ))
        .unwrap();
        let policy = CompiledPolicy::compile(&root, &others, Semantics::Standard).unwrap();
        assert_eq!(answer(&policy, &request(&[])).results[0].decision, decision, "{attributes}");
    }
}

#[test]
fn policies_that_applied_are_named_if_asked() {
    let set = policy_set(
        "s",
        SET_DENY_OVERRIDES,
        &[policy("a", DENY_OVERRIDES, ""), policy("b", DENY_OVERRIDES, &rule("r", "Permit", ""))].concat(),
    );
    let mut request = request(&[]);
    assert!(decide(&set, &request, Semantics::Standard).policies.is_empty());
    request.return_policy_ids = true;
    let named = decide(&set, &request, Semantics::Standard).policies;
    assert_eq!(
        named.iter().map(|policy| (policy.id.as_str(), policy.is_set)).collect::<Vec<_>>(),
        [("s", true), ("b", false)]
    );
}

#[test]
fn requests_that_cannot_be_read_are_indeterminate() {
    let xml = policy("p", DENY_OVERRIDES, &rule("r", "Permit", ""));
    for wrong in ["subject age integer x", "subject age urn:nonsense 1"] {
        let result = standard(&xml, &[wrong]);
        assert_eq!((result.decision, result.status.code), (Decision::Indeterminate, StatusCode::SyntaxError));
    }
    let mut request = request(&[]);
    request.combined_decision = true;
    assert_eq!(decide(&xml, &request, Semantics::Standard).decision, Decision::Indeterminate);
}

#[test]
fn texts_cannot_grow_without_end() {
    let variables: String = (0..40)
        .map(|at| {
            let doubled = expression(&format!("(2.0/string-concatenate $v{} $v{})", at + 1, at + 1));
            format!(r#"<VariableDefinition VariableId="v{at}">{doubled}</VariableDefinition>"#)
        })
        .collect();
    let last =
        format!(r#"<VariableDefinition VariableId="v40">{}</VariableDefinition>"#, expression("string:xxxxxxxx"));
    let condition = condition("(string-equal $v0 string:x)");
    let xml = policy("p", PERMIT_OVERRIDES, &format!("{variables}{last}{}", rule("r", "Permit", &condition)));
    assert_eq!(standard(&xml, &[]).status.code, StatusCode::ProcessingError);
}
