//! Which policies are exact, with which rules; which are general, and why; which are refused.

use super::*;
use crate::urn;
use crate::xacml::ast::Effect;
use crate::xacml::testing::{PERMIT_OVERRIDES, condition, expression, matching, policy, policy_set, rule, target};

const ALTINN: Semantics = Semantics::Altinn;
const STANDARD: Semantics = Semantics::Standard;

fn read(xml: &str, semantics: Semantics) -> Result<ResourcePolicy, XacmlError> {
    ResourcePolicy::read(xml.as_bytes(), &ResourceId::parse("vat").unwrap(), semantics)
}

/// A match: `kind value` of the attributes that policies use most, or `category_attribute_value`.
fn short(text: &str) -> String {
    let (kind, value) = text.split_once(' ').unwrap_or((text, ""));
    match kind {
        "package" => format!("subject urn:altinn:accesspackage {value}"),
        "role" => format!("subject urn:altinn:rolecode {value}"),
        "resource" => format!("resource urn:altinn:resource {value}"),
        "task" => format!("resource urn:altinn:task {value}"),
        "action" => format!("action {} {value}", urn::ACTION_ID),
        _ => text.replace('_', " "),
    }
}

/// A target: parts by `;`, alternatives by `|`, what must hold together by `&`.
fn target_of(text: &str) -> String {
    let any_ofs = text.split(';').map(|any_of| {
        let all_ofs = any_of.split('|').map(|all_of| {
            let matches: String = all_of.split('&').map(|one| matching(&short(one.trim()))).collect();
            format!("<AllOf>{matches}</AllOf>")
        });
        format!("<AnyOf>{}</AnyOf>", all_ofs.collect::<String>())
    });
    format!("<Target>{}</Target>", any_ofs.collect::<String>())
}

fn one_rule(text: &str) -> String {
    policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &target_of(text)))
}

/// The rules, as `actions: packages`; or `general` and the codes of the reasons.
fn form(xml: &str, semantics: Semantics) -> String {
    let read = read(xml, semantics).unwrap_or_else(|error| panic!("{} {error}\n{xml}", error.code));
    match read.form() {
        RightsForm::General { reasons, .. } => {
            assert!(read.rules().is_empty());
            format!("general {}", reasons.iter().map(|reason| reason.code).collect::<Vec<_>>().join(" "))
        }
        RightsForm::Exact => {
            let text = |rule: &PolicyRule| {
                let actions: Vec<_> = rule.actions.iter().map(ActionId::as_str).collect();
                let packages: Vec<_> = rule.access_packages.iter().map(AccessPackage::name).collect();
                format!("{}: {}", actions.join(" "), packages.join(" "))
            };
            read.rules().iter().map(text).collect::<Vec<_>>().join("; ")
        }
    }
}

fn both(text: &str) -> (String, String) {
    (form(&one_rule(text), ALTINN), form(&one_rule(text), STANDARD))
}

fn same(text: &str) -> String {
    let (altinn, standard) = both(text);
    assert_eq!(altinn, standard, "{text}");
    altinn
}

#[test]
fn packages_give_actions() {
    assert_eq!(same("package a | role dagl | package b; resource vat; action read | action write"), "read write: a b");
    assert_eq!(same("package a & role dagl; resource vat; action read"), "read: ");
    assert_eq!(same("role dagl; resource vat; action read"), "read: ");
    assert_eq!(same("package a & package a; resource vat; action read"), "read: a");
    // What a gateway never has: the state of an instance, users, other categories.
    assert_eq!(same("package a; resource vat & task t; action read"), "read: ");
    assert_eq!(same("package a; resource vat | task t; action read"), "read: a");
    assert_eq!(same("package a; resource vat; action read & action write"), "read write: ");
    assert_eq!(form(&one_rule("package a; resource vat; other_x_y; action read"), STANDARD), "read: ");
}

#[test]
fn a_rule_says_where_it_is() {
    let xml = policy(
        "p",
        PERMIT_OVERRIDES,
        &["\n", &rule("first", "Permit", &target_of("package a; resource vat; action read"))].concat(),
    );
    let read = read(&xml, ALTINN).unwrap();
    assert_eq!((read.rules()[0].id.as_str(), read.rules()[0].line), ("first", 2));
    assert_eq!((read.policy_id(), read.policy_version().as_str(), read.semantics()), ("p", "1.0", ALTINN));
}

#[test]
fn both_semantics_are_told_apart() {
    // Two parts of one category: either at Altinn, both in the standard.
    assert_eq!(
        both("package a | package b; package b | package c; resource vat; action read"),
        ("read: a b c".to_owned(), "general subject_conjunction".to_owned())
    );
    assert_eq!(
        both("package a; package a | package b; resource vat; action read"),
        ("read: a b".to_owned(), "read: a".to_owned())
    );
    assert_eq!(both("package a; role dagl; resource vat; action read"), ("read: a".to_owned(), "read: ".to_owned()));
    // Categories together: taken apart at Altinn, together in the standard.
    let mixed = "package a & action read | package b & action write; resource vat";
    assert_eq!(both(mixed), ("read write: a b".to_owned(), "read: a; write: b".to_owned()));
    let mixed = "package a; resource vat & action read | task t & action write";
    assert_eq!(both(mixed), ("read write: a".to_owned(), "read: a; write: ".to_owned()));
    // The environment.
    let environment = "package a; resource vat; action read; environment_x_y";
    assert_eq!(both(environment), ("read: a".to_owned(), "general match_environment".to_owned()));
}

#[test]
fn letter_case_counts_as_the_functions_say() {
    let ignoring = |text: &str| one_rule(text).replace(urn::STRING_EQUAL, urn::STRING_EQUAL_IGNORE_CASE);
    for semantics in [ALTINN, STANDARD] {
        assert_eq!(form(&ignoring("package Skatt; resource VAT; action Read"), semantics), "Read: Skatt skatt");
        // Permits nobody: `VAT` is not `vat`, and no package is called `Skatt`.
        assert_eq!(form(&one_rule("package Skatt; resource VAT; action Read"), semantics), "Read: ");
        assert_eq!(form(&one_rule("package Skatt; resource vat; action Read"), semantics), "Read: Skatt");
    }
    let two = [
        rule("a", "Permit", &target_of("package a; resource vat; action read")),
        rule(
            "b",
            "Permit",
            &target_of("package b; resource vat; action READ")
                .replace(urn::STRING_EQUAL, urn::STRING_EQUAL_IGNORE_CASE),
        ),
    ];
    assert_eq!(form(&policy("p", PERMIT_OVERRIDES, &two.concat()), ALTINN), "read: a; READ read: b");
}

#[test]
fn values_that_no_gateway_sends_never_match() {
    assert_eq!(same("package urn:altinn:accesspackage:a; resource vat; action read"), "read: ");
    assert_eq!(same("package a; resource vat; action åpne"), "");
    let number = one_rule("package a; resource vat; action read");
    let number = number.replacen("XMLSchema#string\">a<", "XMLSchema#integer\">a<", 1);
    assert_eq!(form(&number, ALTINN), "read: ");
    assert_eq!(read(&number, STANDARD).unwrap_err().code, "value_invalid");
    let blanks = one_rule("package a; resource vat; action read").replace(">read<", ">\nread <");
    assert_eq!(same("package a; resource vat; action read"), "read: a");
    assert_eq!((form(&blanks, ALTINN), form(&blanks, STANDARD)), (String::new(), String::new()));
    let issued =
        one_rule("package a; resource vat; action read").replacen("MustBePresent=", "Issuer=\"i\" MustBePresent=", 1);
    assert_eq!(form(&issued, ALTINN), "read: a");
    assert_eq!(form(&issued, STANDARD), "read: ");
}

#[test]
fn an_app_is_named_by_owner_and_app() {
    let app = ResourceId::parse("app_skd_tax_report").unwrap();
    let xml = one_rule("package a; resource app; action read").replace(
        &matching("resource urn:altinn:resource app"),
        &[matching("resource urn:altinn:org skd"), matching("resource urn:altinn:app tax_report")].concat(),
    );
    let read = ResourcePolicy::parse(&xml, &app).unwrap();
    assert_eq!(read.rules()[0].access_packages.len(), 1);
    let other = ResourceId::parse("app_skd_other").unwrap();
    assert_eq!(ResourcePolicy::parse(&xml, &other).unwrap_err().code, "resource_missing");
}

#[test]
fn what_cannot_be_known_beforehand_is_general() {
    let plain = "package a; resource vat; action read";
    let with = |from: &str, to: &str| {
        let xml = one_rule(plain);
        assert!(xml.contains(from), "{from}");
        xml.replacen(from, to, 1)
    };
    let obligation =
        r#"<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="Permit"/></ObligationExpressions>"#;
    let computed = obligation.replace(
        "/>",
        r#"><AttributeAssignmentExpression AttributeId="i">{}</AttributeAssignmentExpression></ObligationExpression>"#,
    );
    let computed = computed.replace("{}", &expression("{string subject id}"));
    let same = |xml: String, codes: &'static str| [(xml.clone(), ALTINN, codes), (xml, STANDARD, codes)];
    let cases = [
        same(with("\"Permit\"", "\"Deny\""), "general rule_effect"),
        same(
            with("</Target></Rule>", &format!("</Target>{}</Rule>", condition("(string-equal string:a string:a)"))),
            "general rule_condition",
        ),
        same(with("MustBePresent=\"false\"", "MustBePresent=\"true\""), "general match_must_be_present"),
        same(
            with(urn::STRING_EQUAL, "urn:oasis:names:tc:xacml:1.0:function:string-regexp-match"),
            "general match_function",
        ),
        same(
            with(PERMIT_OVERRIDES, "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-unless-permit"),
            "general policy_combining_algorithm",
        ),
        same(
            one_rule("subject_urn:altinn:systemuser:uuid_x; resource vat; action read"),
            "general subject_system_user",
        ),
        same(
            one_rule("package a; resource vat & resource_urn:altinn:partyid_1; action read"),
            "general resource_attribute",
        ),
        same(one_rule("package a & package b; resource vat; action read"), "general subject_conjunction"),
        same(one_rule("resource vat; action read"), "general rule_without_subject"),
        same(one_rule("package a; resource vat"), "general rule_without_action"),
        same(one_rule("resource vat"), "general rule_without_action rule_without_subject"),
        [
            (
                with(PERMIT_OVERRIDES, "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides"),
                ALTINN,
                "general policy_combining_algorithm",
            ),
            (
                with(PERMIT_OVERRIDES, "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides"),
                STANDARD,
                "read: a",
            ),
        ],
        [
            (with("<Target/>", &target(&["subject id a"])), ALTINN, "read: a"),
            (with("<Target/>", &target(&["subject id a"])), STANDARD, "general policy_target"),
        ],
        [
            (with("</Target></Rule>", &format!("</Target>{obligation}</Rule>")), ALTINN, "read: a"),
            (with("</Target></Rule>", &format!("</Target>{obligation}</Rule>")), STANDARD, "general rule_obligation"),
        ],
        [
            (with("</Policy>", &format!("{computed}</Policy>")), ALTINN, "read: a"),
            (with("</Policy>", &format!("{computed}</Policy>")), STANDARD, "general obligation_expression"),
        ],
    ];
    for (xml, semantics, expected) in cases.into_iter().flatten() {
        assert_eq!(form(&xml, semantics), expected, "{semantics:?}\n{xml}");
    }
    let about_all = target(&["resource urn:altinn:resource vat"]);
    assert_eq!(form(&with("<Target/>", &about_all), STANDARD), "read: a");
    let dead = "role dagl & subject_urn:altinn:systemuser:uuid_x | package a; resource vat; action read";
    assert_eq!(self::same(dead), "read: a");
}

#[test]
fn every_reason_is_told_with_its_line() {
    let rules = [
        rule("a", "Deny", &target_of("package a; resource vat; action read")),
        "\n".to_owned(),
        rule("b", "Permit", &target_of("package b; resource vat; action write")),
        "\n\n".to_owned(),
        rule("c", "Permit", &target_of("resource vat; action write")),
    ];
    let read = read(&policy("p", PERMIT_OVERRIDES, &rules.concat()), ALTINN).unwrap();
    let RightsForm::General { reasons, policy } = read.form() else { panic!("{read:?}") };
    let found: Vec<_> = reasons.iter().map(|reason| (reason.line, reason.code)).collect();
    assert_eq!(found, [(1, "rule_effect"), (4, "rule_without_subject")]);
    assert_eq!(policy.semantics(), ALTINN);
    assert_eq!(read.actions().iter().map(ActionId::as_str).collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(read.access_packages().iter().map(AccessPackage::name).collect::<Vec<_>>(), ["a", "b"]);
}

/// A gateway passes on the packages that a policy names and the party's organisation number, and nothing else.
#[test]
fn what_a_gateway_cannot_tell_is_told() {
    let asks = |xml: &str, semantics| {
        let read = read(xml, semantics).unwrap_or_else(|error| panic!("{error}\n{xml}"));
        read.unknowable().iter().map(|reason| reason.code).collect::<Vec<_>>().join(" ")
    };
    let plain = one_rule("package a & package b; resource vat; action read");
    let with = |from: &str, to: &str| plain.replacen(from, to, 1);
    let when = |text: &str| with("</Target></Rule>", &format!("</Target>{}</Rule>", condition(text)));
    let package = "{string subject urn:altinn:accesspackage}";
    for (xml, altinn, standard) in [
        (plain.clone(), "", ""),
        (with("MustBePresent=\"false\"", "MustBePresent=\"true\""), "access_packages_open", "access_packages_open"),
        (
            with(urn::STRING_EQUAL, "urn:oasis:names:tc:xacml:1.0:function:string-regexp-match"),
            "access_packages_open",
            "access_packages_open",
        ),
        (when(&format!("(string-is-in string:a {package})")), "access_packages_open", ""),
        (when(&format!("(not (any-of 'string-equal string:a {package}))")), "access_packages_open", ""),
        (
            when(&format!("(string-at-least-one-member-of (string-bag string:a string:b) {package})")),
            "access_packages_open",
            "",
        ),
        (
            when(&format!("(integer-greater-than (string-bag-size {package}) integer:2)")),
            "access_packages_open",
            "access_packages_open",
        ),
        (
            one_rule("package a; resource vat & resource_urn:altinn:partyid_1; action read"),
            "party_attribute_unknown",
            "party_attribute_unknown",
        ),
        (
            one_rule(
                "package a & package b; resource vat; resource_urn:altinn:organization:identifier-no_1; action read",
            ),
            "",
            "",
        ),
        (with("<Target/>", &target(&["resource urn:altinn:party:uuid x"])), "", "party_attribute_unknown"),
    ] {
        assert_eq!((asks(&xml, ALTINN).as_str(), asks(&xml, STANDARD).as_str()), (altinn, standard), "{xml}");
    }
}

#[test]
fn what_conditions_name_is_named() {
    let condition = condition(
        "(and (string-is-in string:Skatt {string subject urn:altinn:accesspackage}) (string-equal (string-one-and-only {string action urn:oasis:names:tc:xacml:1.0:action:action-id}) $v))",
    );
    let variable = r#"<VariableDefinition VariableId="v"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">sign</AttributeValue></VariableDefinition>"#;
    let inside =
        [variable, &rule("r", "Permit", &(target_of("role dagl; resource vat; action read") + &condition))].concat();
    let of_altinn = inside.replace("<VariableReference VariableId=\"v\"/>", &expression("string:sign"));
    for (semantics, inside) in [(ALTINN, of_altinn), (STANDARD, inside)] {
        let read = read(&policy("p", PERMIT_OVERRIDES, &inside), semantics).unwrap();
        assert_eq!(read.actions().iter().map(ActionId::as_str).collect::<Vec<_>>(), ["read", "sign"]);
        assert_eq!(read.access_packages().iter().map(AccessPackage::name).collect::<Vec<_>>(), ["Skatt", "skatt"]);
    }
}

fn with_obligation(effect: Effect, category: &str, value: &str) -> String {
    let list = format!(
        r#"<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="{effect:?}"><AttributeAssignmentExpression AttributeId="a" Category="{category}"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">{value}</AttributeValue></AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"#
    );
    one_rule("package a; resource vat; action read").replace("</Policy>", &format!("{list}</Policy>"))
}

#[test]
fn obligations_of_a_permit_are_kept() {
    for semantics in [ALTINN, STANDARD] {
        let of = |effect, category, value| {
            let read = read(&with_obligation(effect, category, value), semantics).unwrap();
            (read.minimum_authentication_level(), read.unknown_obligations().len())
        };
        assert_eq!(of(Effect::Permit, urn::MINIMUM_AUTHENTICATION_LEVEL, "3"), (3, 0));
        assert_eq!(of(Effect::Permit, urn::MINIMUM_AUTHENTICATION_LEVEL_ORG, "3"), (0, 0));
        assert_eq!(of(Effect::Permit, "urn:example:notify", "3"), (0, 1));
        assert_eq!(of(Effect::Deny, "urn:example:notify", "3"), (0, 0));
        let wrong = with_obligation(Effect::Permit, urn::MINIMUM_AUTHENTICATION_LEVEL, "5");
        assert_eq!(read(&wrong, semantics).unwrap_err().code, "obligation_level");
        // In the general form they come with the decision.
        let general = with_obligation(Effect::Permit, "urn:example:notify", "3")
            .replace("\"Permit\"><Target>", "\"Deny\"><Target>");
        assert!(read(&general, semantics).unwrap().unknown_obligations().is_empty());
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_line() {
    let good = one_rule("package a; resource vat; action read");
    for (xml, semantics, code) in [
        ("".to_owned(), ALTINN, "policy_not_xml"),
        (good.replace("</Policy>", "</Polic>"), ALTINN, "policy_not_xml"),
        (format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{good}"), ALTINN, "policy_not_xml"),
        ("<a/>".to_owned(), ALTINN, "policy_element"),
        (good.replace("<Target/>", "<Target/><Surprise/>"), ALTINN, "policy_element"),
        (policy_set("s", "x", ""), STANDARD, "policy_element"),
        (policy("p", PERMIT_OVERRIDES, ""), ALTINN, "policy_without_rules"),
        (one_rule("package a; resource other; action read"), ALTINN, "resource_other"),
        (one_rule("package a; action read"), STANDARD, "resource_missing"),
        (good.replace("string-equal", "string-unequal"), STANDARD, "function_unknown"),
        (good.replace(PERMIT_OVERRIDES, "x"), STANDARD, "policy_combining_algorithm"),
        (
            policy(
                "p",
                PERMIT_OVERRIDES,
                &rule("r", "Permit", &target_of("package a; resource vat; action read")).repeat(2),
            ),
            STANDARD,
            "rule_twice",
        ),
        (" ".repeat(POLICY_BYTES_MAX + 1), ALTINN, "policy_too_large"),
        ("<a>".repeat(1_000), ALTINN, "xml_too_deep"),
    ] {
        let error = read(&xml, semantics).unwrap_err();
        assert_eq!((error.code, error.line), (code, 1), "{error}");
    }
    // At Altinn it is an answer, not an error.
    assert_eq!(form(&good.replace("string-equal", "string-unequal"), ALTINN), "general match_function");
}

#[test]
fn every_unicode_form_is_read() {
    let xml = format!("\u{feff}{}", one_rule("package a; resource vat; action read"));
    assert!(ResourcePolicy::parse(&xml, &ResourceId::parse("vat").unwrap()).is_ok());
    let utf16: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let read = ResourcePolicy::read(&utf16, &ResourceId::parse("vat").unwrap(), STANDARD).unwrap();
    assert_eq!(read.rules().len(), 1);
}
