//! A minimal policy for every finding, and one that has none.

use super::*;
use crate::xacml::fuzz::Dice;
use crate::xacml::request::Request;
use crate::xacml::response::{Decision, DecisionResult};
use crate::xacml::rights::generated;
use crate::xacml::testing::{
    PERMIT_OVERRIDES, answer, compiled, condition, document, expression, matching, policy, policy_set, rule,
};

const LEVEL: &str = r#"<ObligationExpressions><ObligationExpression ObligationId="level" FulfillOn="Permit"><AttributeAssignmentExpression AttributeId="a" Category="urn:altinn:minimum-authenticationlevel"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">3</AttributeValue></AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"#;
const CLEAN: &str = "package jordbruk | role dagl; resource vat; action read | action write";

/// A match of what policies speak of most: `kind value`, or `category/attribute value`.
fn one_match(text: &str) -> String {
    let (kind, value) = text.trim().split_once(' ').unwrap();
    let (category, id) = match kind {
        "package" => ("subject", urn::ACCESS_PACKAGE),
        "role" => ("subject", "urn:altinn:rolecode"),
        "resource" => ("resource", urn::RESOURCE),
        "action" => ("action", urn::ACTION_ID),
        other => other.split_once('/').unwrap(),
    };
    matching(&format!("{category} {id} {value}"))
}

/// Parts by `;`, alternatives by `|`, what must hold together by `&`.
fn any_ofs(text: &str) -> String {
    let any_of = |any_of: &str| {
        let all_of = |all_of: &str| format!("<AllOf>{}</AllOf>", all_of.split('&').map(one_match).collect::<String>());
        format!("<AnyOf>{}</AnyOf>", any_of.split('|').map(all_of).collect::<String>())
    };
    text.split(';').map(any_of).collect()
}

fn permit(id: &str, target: &str, after: &str) -> String {
    rule(id, "Permit", &format!("<Target>{}</Target>{after}", any_ofs(target)))
}

/// A policy of these rules, each on a line of its own from the third, after what else it has.
fn with_rules(rules: &[String]) -> String {
    policy("p", PERMIT_OVERRIDES, &format!("\n{LEVEL}\n{}", rules.join("\n")))
}

fn one_rule(target: &str) -> String {
    with_rules(&[permit("r", target, "")])
}

fn catalogue() -> LintCatalogue {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    LintCatalogue { packages: names(&["jordbruk", "fiske", "skatt-naering"]), roles: names(&["dagl", "regna"]) }
}

fn found(xml: &str) -> Vec<Finding> {
    let document = document(xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    lint(&document, Some(&ResourceId::parse("vat").unwrap()), &catalogue())
}

/// Codes with their lines.
fn lines(xml: &str) -> Vec<(&'static str, u32)> {
    found(xml).iter().map(|finding| (finding.code, finding.line)).collect()
}

#[test]
fn a_clean_policy_has_no_finding() {
    assert_eq!(found(&one_rule(CLEAN)), []);
    // Two rules for two kinds of holders, and an app.
    let two = [permit("a", CLEAN, ""), permit("b", "package fiske; resource vat; action sign", "")];
    assert_eq!(found(&with_rules(&two)), []);
    let app = one_rule(&CLEAN.replace("resource vat", "resource/urn:altinn:org skd & resource/urn:altinn:app tax"));
    let document = document(&app).unwrap();
    assert_eq!(lint(&document, None, &LintCatalogue::default()), []);
}

/// A code, a policy in which it is found, and what else is found there.
type Example = (&'static str, String, Vec<(&'static str, u32)>);

/// One policy for each code.
fn examples() -> Vec<Example> {
    let change = |from: &str, to: &str| {
        let xml = one_rule(CLEAN);
        assert!(xml.contains(from), "{from}");
        xml.replacen(from, to, 1)
    };
    let in_rule = |after: &str| with_rules(&[permit("r", CLEAN, after)]);
    let mut all: Vec<Example> = Vec::new();
    let mut add = |code: &'static str, xml: String, beside: &[(&'static str, u32)]| {
        all.push((code, xml, beside.to_vec()));
    };
    let dead = ("nothing_without_delegation", 1);
    let differ = ("semantics_differ", 3);
    let resource = CLEAN.replace("resource vat", "resource vat | resource [APP]");
    add("placeholder_left", one_rule(&resource), &[("resource_other", 3)]);
    let list = "subject/urn:altinn:accesslist:ttd banks; resource vat; action read";
    add("access_list_misspelt", one_rule(list), &[dead]);
    let whole = "package urn:altinn:accesspackage:jordbruk; resource vat; action read";
    add("package_whole_urn", one_rule(whole), &[dead]);
    let unknown = change(urn::STRING_EQUAL, "urn:oasis:names:tc:xacml:3.0:function:string-starts-with");
    add("function_unknown_to_altinn", unknown, &[differ]);
    add("attribute_unknown", one_rule(&CLEAN.replace("role dagl", "subject/urn:altinn:rolecod dagl")), &[]);
    add("package_unknown", one_rule(&CLEAN.replace("jordbruk", "jordbrukk")), &[]);
    add("role_unknown", one_rule(&CLEAN.replace("dagl", "dagll")), &[]);
    let number = change("XMLSchema#string\">jordbruk", "XMLSchema#integer\">jordbruk");
    add("data_type_mismatch", number, &[dead, ("standard_refuses", 3)]);
    add("letter_case", one_rule(&CLEAN.replace("jordbruk", "Jordbruk")), &[]);
    add("literal_blanks", change(">jordbruk<", "> jordbruk<"), &[dead]);
    let required = change("MustBePresent=\"false\"", "MustBePresent=\"true\"");
    add("must_be_present", required, &[differ]);
    let is_in = change(urn::STRING_EQUAL, "urn:oasis:names:tc:xacml:1.0:function:string-is-in");
    add("string_is_in", is_in, &[("standard_refuses", 3)]);
    let pattern = change(urn::STRING_EQUAL, "urn:oasis:names:tc:xacml:1.0:function:string-regexp-match");
    add("regular_expression", pattern, &[]);
    let selector = change(
        &one_match("role dagl"),
        &one_match("role dagl").split_once("<AttributeDesignator").map(|(before, _)| {
            format!(r#"{before}<AttributeSelector Category="{}" Path="/" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Match>"#, urn::CATEGORY_SUBJECT)
        }).unwrap(),
    );
    add("selector_not_evaluated", selector, &[("standard_refuses", 3)]);
    add("match_ignored_by_altinn", one_rule(&format!("{CLEAN}; environment/urn:example:x y")), &[differ]);
    add("action_not_nameable", one_rule(&CLEAN.replace("action write", "action åpne")), &[]);
    add("any_of_twice", one_rule(&format!("{CLEAN}; role regna")), &[differ]);
    let mixed = "package jordbruk; resource vat & action read | resource/urn:altinn:subresource x & action write";
    add("all_of_mixes_categories", one_rule(mixed), &[differ]);
    add("action_conjunction", one_rule(&CLEAN.replace("action read |", "action read &")), &[dead]);
    add("rule_denies", change("\"Permit\"><Target>", "\"Deny\"><Target>"), &[]);
    let task = [
        permit("r", CLEAN, ""),
        permit("t", &CLEAN.replace("resource vat", "resource vat & resource/urn:altinn:task Task_1"), ""),
    ];
    add("depends_on_instance_state", with_rules(&task), &[("rule_dead_for_system_users", 4)]);
    add("rule_for_every_subject", one_rule("resource vat; action read"), &[]);
    add("rule_for_every_action", one_rule("package jordbruk; resource vat"), &[]);
    add("notice_ignored_by_altinn", in_rule(&LEVEL.replace("\"level\"", "\"own\"")), &[differ]);
    let roles = [permit("r", CLEAN, ""), permit("d", "role regna; resource vat; action read", "")];
    add("rule_dead_for_system_users", with_rules(&roles), &[]);
    add("rule_repeated", with_rules(&[permit("a", CLEAN, ""), permit("b", CLEAN, "")]), &[]);
    let other = permit("a", "package fiske; resource vat; action read", "");
    add("rule_id_twice", with_rules(&[permit("a", CLEAN, ""), other]), &[]);
    add("policy_set", policy_set("s", "urn:x", ""), &[]);
    add("resource_other", one_rule(&CLEAN.replace("vat", "other")), &[dead]);
    add("resource_missing", one_rule("package jordbruk; action read"), &[]);
    let old = change(PERMIT_OVERRIDES, "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides");
    add("algorithm_unknown_to_altinn", old, &[]);
    let alone = change(PERMIT_OVERRIDES, "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-unless-permit");
    // Altinn leaves open what no rule is about; the standard does not.
    add("algorithm_decides_alone", alone, &[("semantics_differ", 1), differ]);
    let target = change("<Target/>", &format!("<Target>{}</Target>", any_ofs("role regna")));
    add("policy_target_ignored_by_altinn", target, &[differ]);
    let on_deny = change("FulfillOn=\"Permit\"", "FulfillOn=\"Deny\"");
    add("policy_notice_ignored_by_altinn", on_deny, &[("authentication_level_missing", 1)]);
    add("authentication_level_missing", change(LEVEL, ""), &[]);
    let notify = change(
        "</ObligationExpressions>",
        r#"<ObligationExpression ObligationId="notify" FulfillOn="Permit"/></ObligationExpressions>"#,
    );
    add("obligation_unknown", notify, &[]);
    add("obligation_level", change(">3<", ">7<"), &[]);
    add("nothing_without_delegation", one_rule("role dagl; resource vat; action read"), &[]);
    add("policy_without_rules", with_rules(&[]), &[]);
    add("standard_refuses", change("rule-combining-algorithm", "policy-combining-algorithm"), &[]);
    let many = condition("(and (string-is-in string:a {string subject id}) boolean:true)");
    add("condition_not_evaluated_by_altinn", in_rule(&many), &[differ]);
    add("semantics_differ", one_rule("package jordbruk; role dagl; resource vat; action read"), &[("any_of_twice", 3)]);
    all
}

#[test]
fn every_finding_is_found() {
    let mut seen = BTreeSet::new();
    for (code, xml, mut expected) in examples() {
        let found = found(&xml);
        let of_code = found.iter().find(|finding| finding.code == code);
        let of_code = of_code.unwrap_or_else(|| panic!("no `{code}`: {found:#?}\n{xml}"));
        assert!(!of_code.message.is_empty() && !of_code.fix.is_empty() && !of_code.why.is_empty());
        expected.push((code, of_code.line));
        expected.sort();
        let mut all: Vec<_> = found.iter().map(|finding| (finding.code, finding.line)).collect();
        all.sort();
        assert_eq!(all, expected, "{code}: {found:#?}\n{xml}");
        seen.insert(code);
    }
    // These two need more than one policy of a line or two.
    seen.extend(["resource_unclear", "app_named_by_resource_id", "comparison_cut_short"]);
    let all: BTreeSet<_> = codes().map(|code| code.code).collect();
    assert_eq!(all.len(), codes().count(), "a code twice");
    assert_eq!(seen, all);
}

#[test]
fn the_resource_is_the_one_that_the_policy_names() {
    let of = |xml: &str| {
        let found = lint(&document(xml).unwrap(), None, &catalogue());
        found.iter().map(|finding| (finding.code, finding.line)).collect::<Vec<_>>()
    };
    assert_eq!(of(&one_rule(CLEAN)), []);
    assert_eq!(
        of(&one_rule(&CLEAN.replace("resource vat", "resource vat | resource other"))),
        [("resource_unclear", 1)]
    );
    assert_eq!(
        of(&one_rule(&CLEAN.replace("resource vat", "resource/urn:altinn:task t"))).first(),
        Some(&("resource_unclear", 1))
    );
    assert_eq!(of(&one_rule(&CLEAN.replace("vat", "app_skd_tax"))), [("app_named_by_resource_id", 3)]);
    // A template is told of its placeholders only.
    let template = CLEAN.replace("resource vat", "resource/urn:altinn:org [ORG] & resource/urn:altinn:app [APP]");
    assert_eq!(of(&one_rule(&template)), [("placeholder_left", 3), ("placeholder_left", 3)]);
}

#[test]
fn delegations_are_not_measured_by_what_policies_of_resources_need() {
    let uuid = "subject/urn:altinn:systemuser:uuid f950ddae-06c3-4b57-b940-702417a90df0; resource vat; action read";
    let xml = policy("p", urn::RULE_DENY_OVERRIDES, &permit("r", uuid, ""));
    assert_eq!(lines(&xml), []);
    let upper = xml.replace("f950ddae", "F950DDAE");
    assert_eq!(lines(&upper), [("letter_case", 1)]);
}

#[test]
fn what_is_meant_is_suggested() {
    let fix = |target: &str, code: &str| {
        let found = found(&one_rule(target));
        found.into_iter().find(|finding| finding.code == code).unwrap().fix
    };
    assert_eq!(fix(&CLEAN.replace("jordbruk", "jordbrukk"), "package_unknown"), "did you mean `jordbruk`?");
    assert_eq!(fix(&CLEAN.replace("dagl", "DAGG"), "role_unknown"), "did you mean `dagl`?");
    let list = "subject/urn:altinn:accesslist:ttd banks; resource vat; action read";
    assert_eq!(fix(list, "access_list_misspelt"), "write `urn:altinn:access-list` with the value `ttd:banks`");
    assert_eq!(
        fix(&CLEAN.replace("jordbruk", "urn:altinn:accesspackage:jordbruk"), "package_whole_urn"),
        "write `jordbruk`"
    );
}

/// Where no difference is told, none is found by asking at random, in policies that differ more often than not.
#[test]
fn silence_means_agreement() {
    let mut dice = Dice(0x706f_7274_7661_6b09);
    let (mut silent, mut told) = (0, 0);
    while silent < 20 {
        let xml = generated::one_policy(&mut dice, Semantics::Altinn);
        let document = document(&xml).unwrap();
        let (Ok(altinn), Ok(standard)) = (compiled(&xml, Semantics::Altinn), compiled(&xml, Semantics::Standard))
        else {
            continue;
        };
        let resource = ResourceId::parse("vat").unwrap();
        let found = lint(&document, Some(&resource), &LintCatalogue::default());
        if found.iter().any(|finding| ["semantics_differ", "algorithm_unknown_to_altinn"].contains(&finding.code)) {
            told += 1;
            continue;
        }
        silent += 1;
        for _ in 0..150 {
            let request = generated::any_request(&mut dice);
            let [one, other] = [&altinn, &standard].map(|policy| answer(policy, &request).results.remove(0));
            assert_eq!(one.decision, other.decision, "{}\n{xml}", asked(&request));
            let ids =
                |result: &DecisionResult| result.obligations.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
            if one.decision == Decision::Permit {
                assert_eq!(ids(&one), ids(&other), "{}\n{xml}", asked(&request));
            }
        }
    }
    assert!(told > 20, "{told}");
}

fn asked(request: &Request) -> String {
    let attributes = request.categories.iter().flat_map(|category| &category.attributes);
    attributes.map(|one| format!("{}={} {}; ", one.id, one.values[0].text, one.values[0].data_type)).collect()
}

/// What differs is told with an example that differs.
#[test]
fn differences_are_told_by_example() {
    let differences = |xml: &str| {
        let of_code = found(xml).into_iter().filter(|finding| finding.code == "semantics_differ");
        of_code.map(|finding| (finding.line, finding.message)).collect::<Vec<_>>()
    };
    let two = one_rule("role dagl; package jordbruk; resource vat; action read");
    assert_eq!(
        differences(&two),
        [(3, "subject rolecode `dagl`; resource resource `vat`; action `read`: Altinn answers Permit, the standard NotApplicable".to_owned())]
    );
    // The same twice is no difference, nor is one that another rule hides.
    assert_eq!(differences(&one_rule("role dagl; role dagl; resource vat; action read")), []);
    let hidden = [
        permit("a", "role dagl; package jordbruk; resource vat; action read", ""),
        permit("b", "role dagl | package jordbruk; resource vat; action read", ""),
    ];
    assert_eq!(differences(&with_rules(&hidden)), []);
    // Each rule of several, and none beside them.
    let third = [
        permit("a", CLEAN, ""),
        permit("b", "role dagl; package fiske; resource vat; action sign", ""),
        permit("c", "package fiske; resource vat & action open | resource/urn:altinn:subresource x & action close", ""),
    ];
    assert_eq!(differences(&with_rules(&third)).iter().map(|one| one.0).collect::<Vec<_>>(), [4, 5]);
    // One that shows only among others: at Altinn a missing resource attribute leaves the whole open.
    let required = permit("b", "package fiske; resource vat & resource/urn:altinn:task t; action sign", "").replace(
        r#"AttributeId="urn:altinn:task" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false""#,
        r#"AttributeId="urn:altinn:task" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="true""#,
    );
    let found = differences(&with_rules(&[permit("a", CLEAN, ""), required]));
    assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), [4], "{found:?}");
    assert!(found[0].1.ends_with("Altinn answers Indeterminate, the standard Permit"), "{found:?}");
    // By the time of day only.
    let time = format!(
        r#"<Condition><Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:time-less-than"><Apply FunctionId="urn:oasis:names:tc:xacml:1.0:function:time-one-and-only">{}</Apply>{}</Apply></Condition>"#,
        expression("{time environment urn:oasis:names:tc:xacml:1.0:environment:current-time}"),
        expression("time:10:00:00Z"),
    );
    assert_eq!(differences(&with_rules(&[permit("r", CLEAN, &time)])).len(), 1);
    // Obligations of rules.
    let own = with_rules(&[permit("r", CLEAN, &LEVEL.replace("\"level\"", "\"own\""))]);
    assert!(
        differences(&own)[0].1.ends_with("Altinn answers Permit with `level`, the standard Permit with `level`, `own`")
    );
}

#[test]
fn a_rule_of_very_many_parts_is_compared_in_bounds() {
    let many: Vec<String> = (0..400).map(|at| format!("package p{at}")).collect();
    let actions: Vec<String> = (0..60).map(|at| format!("action a{at}")).collect();
    let target = format!("{}; resource vat; {}", many.join(" | "), actions.join(" | "));
    let rules: Vec<String> =
        (0..12).map(|at| permit(&at.to_string(), &format!("{target} | action own{at}"), "")).collect();
    let codes = |rules: &[String]| found(&with_rules(rules)).into_iter().map(|one| one.code).collect::<BTreeSet<_>>();
    assert_eq!(codes(&rules[..1]), BTreeSet::from(["package_unknown"]));
    assert_eq!(codes(&rules), BTreeSet::from(["package_unknown", "comparison_cut_short"]));
}
