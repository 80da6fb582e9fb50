//! What gateways decide is what the same request gets.

use crate::Timestamp;
use crate::urn;
use crate::xacml::fuzz::Dice;
use crate::xacml::fuzz::policies::a_policy;
use crate::xacml::request::{Category, Request, RequestAttribute, RequestValue};
use crate::xacml::response::Decision;
use crate::xacml::testing::{PERMIT_OVERRIDES, compiled, condition, expression, policy, policy_set, rule, target};
use crate::xacml::value::DataType;
use crate::xacml::{Environment, GatewayAttributes, Semantics};

fn now() -> Environment {
    Environment { now: Timestamp::from_unix_seconds(1_767_225_600), fuel_max: 50_000 }
}

/// What a gateway knows of a call that reads a customer's VAT.
fn known() -> GatewayAttributes<'static> {
    GatewayAttributes {
        system_user: "47caea5b-a80b-4343-b1d3-31eb523a4e28",
        access_packages: &[],
        resource: "vat",
        party_organization: "310247049",
        action: "read",
    }
}

fn attribute(id: &str, texts: &[&str]) -> RequestAttribute {
    let value = |text: &&str| RequestValue { data_type: DataType::String.uri().to_owned(), text: (*text).to_owned() };
    RequestAttribute { id: id.to_owned(), values: texts.iter().map(value).collect(), ..RequestAttribute::default() }
}

/// The request that says the same.
fn request(known: &GatewayAttributes<'_>) -> Request {
    let category = |category: &str, attributes| Category { category: category.to_owned(), id: None, attributes };
    let mut resource = vec![
        attribute("urn:altinn:resource", &[known.resource]),
        attribute("urn:altinn:organizationnumber", &[known.party_organization]),
        attribute("urn:altinn:organization:identifier-no", &[known.party_organization]),
    ];
    if known.resource == "app_ttd_a_b" {
        resource.extend([attribute("urn:altinn:org", &["ttd"]), attribute("urn:altinn:app", &["a_b"])]);
    }
    Request {
        categories: vec![
            category(
                urn::CATEGORY_SUBJECT,
                vec![
                    attribute("urn:altinn:accesspackage", known.access_packages),
                    attribute("urn:altinn:systemuser:uuid", &[known.system_user]),
                ],
            ),
            category(urn::CATEGORY_RESOURCE, resource),
            category(urn::CATEGORY_ACTION, vec![attribute(urn::ACTION_ID, &[known.action])]),
        ],
        ..Request::default()
    }
}

#[test]
fn gateways_get_the_answer_of_the_request() {
    let mut dice = Dice(0x706f_7274_7661_6b07);
    let mut decisions = std::collections::BTreeSet::new();
    for semantics in [Semantics::Standard, Semantics::Altinn] {
        for _ in 0..400 {
            let policy = a_policy(&mut dice, semantics);
            for _ in 0..3 {
                let packages: Vec<_> =
                    (0..dice.below(3)).map(|_| ["a", "b", "skattegrunnlag"][dice.below(3)]).collect();
                let known = GatewayAttributes {
                    system_user: ["47caea5b-a80b-4343-b1d3-31eb523a4e28", "a"][dice.below(2)],
                    access_packages: &packages,
                    resource: ["vat", "app_ttd_a_b", "a"][dice.below(3)],
                    party_organization: ["310247049", "a"][dice.below(2)],
                    action: ["read", "write", "a"][dice.below(3)],
                };
                let direct = policy.decide_attributes(&known, now());
                let result = policy.decide(&request(&known), now()).results.remove(0);
                assert_eq!(
                    (direct.decision, direct.status, &*direct.obligations),
                    (result.decision, result.status.code, result.obligations.as_slice())
                );
                decisions.insert((direct.decision, direct.obligations.is_empty()));
            }
        }
    }
    assert!(decisions.len() >= 6, "{decisions:?}");
}

#[test]
fn gateways_know_the_time() {
    let current = "{time environment urn:oasis:names:tc:xacml:1.0:environment:current-time}";
    let text = format!("(time-equal (time-one-and-only {current}) time:00:00:00Z)");
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &condition(&text)));
    let known = known();
    let policy = compiled(&xml, Semantics::Standard).unwrap();
    assert_eq!(policy.decide_attributes(&known, now()).decision, Decision::Permit);
    let later = Environment { now: Timestamp::from_unix_seconds(1_767_225_601), ..now() };
    assert_eq!(policy.decide_attributes(&known, later).decision, Decision::NotApplicable);
}

#[test]
fn obligations_of_a_policy_are_told_without_a_request() {
    let obligation = |id: &str, effect: &str, value: &str| {
        format!(
            r#"<ObligationExpression ObligationId="{id}" FulfillOn="{effect}"><AttributeAssignmentExpression AttributeId="a" Category="c">{}</AttributeAssignmentExpression></ObligationExpression>"#,
            expression(value)
        )
    };
    let list = |inside: &str| format!("<ObligationExpressions>{inside}</ObligationExpressions>");
    let of_rule = list(&obligation("rule", "Permit", "integer:1"));
    let own = list(
        &(obligation("deny", "Deny", "integer:1")
            + &obligation("level", "Permit", "integer:2")
            + &obligation("depends", "Permit", "{string subject id}")),
    );
    let xml = policy("p", PERMIT_OVERRIDES, &(rule("r", "Permit", &(target(&["subject id a"]) + &of_rule)) + &own));
    let told = |xml: &str, semantics| -> Vec<_> {
        let told = compiled(xml, semantics).unwrap().obligations_on_permit();
        told.into_iter()
            .map(|one| {
                let values: Vec<_> = one.assignments.iter().map(|assignment| assignment.value.clone()).collect();
                (one.id, values.join(" "))
            })
            .collect()
    };
    let expected = [("level".to_owned(), "2".to_owned()), ("depends".to_owned(), String::new())];
    for semantics in [Semantics::Standard, Semantics::Altinn] {
        assert_eq!(told(&xml, semantics), expected);
    }
    let set = policy_set(
        "s",
        crate::xacml::testing::SET_DENY_OVERRIDES,
        &(xml + &list(&obligation("set", "Permit", "string:x"))),
    );
    assert_eq!(told(&set, Semantics::Standard), [("set".to_owned(), "x".to_owned())]);
}

#[test]
fn a_gateway_gives_up_earlier_than_a_decision_request_does() {
    let bag = |from: u32| {
        let literals: Vec<_> = (from..from + 400).map(|number| format!("integer:{number}")).collect();
        format!("(integer-bag {})", literals.join(" "))
    };
    // Every number with every other, and no two are equal.
    let slow = condition(&format!("(not (any-of-any 'integer-equal {} {}))", bag(0), bag(1_000)));
    let policy = compiled(&policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &slow)), Semantics::Standard).unwrap();
    let known = known();
    let now = now().now;
    let answer = |environment| policy.decide_attributes(&known, environment).decision;
    assert_eq!(answer(Environment::at(now)), Decision::Permit);
    assert_eq!(answer(Environment::at_gateway(now)), Decision::Indeterminate);
}
