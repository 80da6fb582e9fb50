//! The proof, tried: policies around what the exact form can express, and just beyond, answer the same through their rules
//! as when they are evaluated. Seeded, so that a failure comes again.

use super::*;
use crate::urn;
use crate::xacml::fuzz::Dice;
use crate::xacml::request::Request;
use crate::xacml::response::{Decision, DecisionResult};
use crate::xacml::testing::{answer, compiled, matching, policy, request};

const POLICIES: usize = 800;
const REQUESTS: usize = 12;
const PACKAGES: [&str; 4] = ["a", "b", "c", "d"];
const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

impl Dice {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// True once in so many times.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// One match of a category, mostly such as real policies have.
fn one_match(dice: &mut Dice, category: &str, semantics: Semantics) -> String {
    let text = match category {
        "subject" => match dice.below(16) {
            0..10 => format!("subject urn:altinn:accesspackage {}", dice.one(&["a", "b", "c", "A", "B"])),
            10 => "subject urn:altinn:accesspackage urn:altinn:accesspackage:a".to_owned(),
            11..14 => "subject urn:altinn:rolecode dagl".to_owned(),
            14 => "subject urn:altinn:userid 1".to_owned(),
            _ => "subject urn:altinn:systemuser:uuid f950ddae-06c3-4b57-b940-702417a90df0".to_owned(),
        },
        "resource" => match dice.below(16) {
            0..11 => format!("resource urn:altinn:resource {}", dice.one(&["vat", "vat", "vat", "VAT"])),
            11 => "resource urn:altinn:task Task_1".to_owned(),
            12 => "resource urn:altinn:org skd".to_owned(),
            13 => "resource urn:altinn:partyid 500".to_owned(),
            _ => "resource urn:altinn:end-event End".to_owned(),
        },
        "action" => {
            format!("action {} {}", urn::ACTION_ID, dice.one(&["read", "read", "write", "Read", "sign", "åpne"]))
        }
        other => format!("{other} x y"),
    };
    let mut written = matching(&text);
    if dice.rarely(2) {
        written = written.replace(urn::STRING_EQUAL, urn::STRING_EQUAL_IGNORE_CASE);
    }
    if dice.rarely(120) {
        written = written.replace("MustBePresent=\"false\"", "MustBePresent=\"true\"");
    }
    if dice.rarely(60) && semantics == Semantics::Altinn {
        let (literal, rest) = written.split_once("</AttributeValue>").unwrap();
        written =
            format!("{}</AttributeValue>{rest}", literal.replace(STRING, "http://www.w3.org/2001/XMLSchema#anyURI"));
    }
    if dice.rarely(60) {
        written = written.replace("MustBePresent=", "Issuer=\"i\" MustBePresent=");
    }
    if dice.rarely(200) {
        written = written.replace(urn::STRING_EQUAL, "urn:oasis:names:tc:xacml:1.0:function:string-regexp-match");
    }
    written
}

fn any_of(dice: &mut Dice, category: &'static str, semantics: Semantics) -> String {
    let all_ofs = (0..=dice.below(3)).map(|_| {
        let matches = (0..=usize::from(dice.rarely(4))).map(|at| {
            let stray = dice.rarely(8) && (at > 0 || category != "resource");
            let category = if stray { dice.one(&["subject", "resource", "action", "other"]) } else { category };
            one_match(dice, category, semantics)
        });
        format!("<AllOf>{}</AllOf>", matches.collect::<String>())
    });
    let all_ofs: String = all_ofs.collect();
    format!("<AnyOf>{all_ofs}</AnyOf>")
}

fn one_rule(dice: &mut Dice, id: usize, semantics: Semantics) -> String {
    let mut inside = String::new();
    for (category, none) in [("subject", 25), ("resource", 1_000_000), ("action", 25)] {
        if !dice.rarely(none) {
            for _ in 0..=usize::from(dice.rarely(8)) {
                inside += &any_of(dice, category, semantics);
            }
        }
    }
    if dice.rarely(40) {
        inside += &any_of(dice, "environment", semantics);
    }
    let mut after = String::new();
    if dice.rarely(60) {
        after += &crate::xacml::testing::condition("(string-equal string:a string:a)");
    }
    if dice.rarely(60) {
        after += &obligations(dice);
    }
    let effect = if dice.rarely(40) { "Deny" } else { "Permit" };
    // Altinn accepts one id twice.
    let id = if semantics == Semantics::Altinn && dice.rarely(5) { 0 } else { id };
    crate::xacml::testing::rule(&id.to_string(), effect, &format!("<Target>{inside}</Target>{after}"))
}

fn obligations(dice: &mut Dice) -> String {
    let list = (0..=dice.below(3)).map(|_| {
        let level = urn::MINIMUM_AUTHENTICATION_LEVEL;
        let category = dice.one(&[level, level, level, urn::MINIMUM_AUTHENTICATION_LEVEL_ORG, "urn:x"]);
        let value = match dice.below(12) {
            0 => crate::xacml::testing::expression("{!string subject id}"),
            level => format!(r#"<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">{}</AttributeValue>"#, level % 5),
        };
        let (id, effect) = (dice.below(2), dice.one(&["Permit", "Permit", "Deny"]));
        format!(
            r#"<ObligationExpression ObligationId="{id}" FulfillOn="{effect}"><AttributeAssignmentExpression AttributeId="a" Category="{category}">{value}</AttributeAssignmentExpression></ObligationExpression>"#
        )
    });
    format!("<ObligationExpressions>{}</ObligationExpressions>", list.collect::<String>())
}

pub(in crate::xacml) fn one_policy(dice: &mut Dice, semantics: Semantics) -> String {
    let rules: String = (0..=dice.below(3)).map(|id| one_rule(dice, id + 1, semantics)).collect();
    let algorithm = match dice.below(24) {
        0 => "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:permit-overrides",
        1 => "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-unless-permit",
        2 => "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:permit-unless-deny",
        3..6 => "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:first-applicable",
        6..9 => "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:ordered-deny-overrides",
        9..14 => urn::RULE_PERMIT_OVERRIDES,
        _ => urn::RULE_DENY_OVERRIDES,
    };
    let mut inside = rules;
    if dice.rarely(3) {
        inside += &obligations(dice);
    }
    let mut xml = policy("p", algorithm, &inside);
    if dice.rarely(12) {
        let of = dice.one(&["resource urn:altinn:resource vat", "subject urn:altinn:accesspackage a", "resource x y"]);
        xml = xml.replacen("<Target/>", &crate::xacml::testing::target(&[of]), 1);
    }
    xml
}

/// A call of a system user through a gateway.
fn call(held: &BTreeSet<String>, action: &str) -> Request {
    let uuid = "f950ddae-06c3-4b57-b940-702417a90df0";
    let mut attributes = vec![
        format!("subject {} string {uuid}", urn::SYSTEM_USER_UUID),
        format!("resource {} string vat", urn::RESOURCE),
        "resource urn:altinn:partyid string 500".to_owned(),
        format!("resource {} string 310247049", urn::ORGANIZATION_NUMBER),
        format!("action {} string {action}", urn::ACTION_ID),
    ];
    attributes.extend(held.iter().map(|name| format!("subject {} string {name}", urn::ACCESS_PACKAGE)));
    request(&attributes.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A request about the resource with whatever else the policies name.
pub(in crate::xacml) fn any_request(dice: &mut Dice) -> Request {
    let mut attributes = vec![format!("resource {} string vat", urn::RESOURCE)];
    for _ in 0..dice.below(7) {
        let kind = if dice.rarely(12) { "anyURI" } else { "string" };
        attributes.push(match dice.below(12) {
            0..4 => format!("subject {} {kind} {}", urn::ACCESS_PACKAGE, dice.one(&["a", "b", "c", "A", "B"])),
            4 => format!("subject urn:altinn:rolecode {kind} dagl"),
            5 => format!("subject urn:altinn:userid {kind} 1"),
            6 => format!("resource urn:altinn:task {kind} Task_1"),
            7 => format!("resource urn:altinn:partyid {kind} 500"),
            8 => format!("resource urn:altinn:end-event {kind} End"),
            9 => format!("resource urn:altinn:org {kind} skd"),
            10 => format!("subject {} {kind} f950ddae-06c3-4b57-b940-702417a90df0", urn::SYSTEM_USER_UUID),
            _ => format!("{} x {kind} y", dice.one(&["environment", "other"])),
        });
    }
    if !dice.rarely(20) {
        attributes.push(format!(
            "action {} string {}",
            urn::ACTION_ID,
            dice.one(&["read", "write", "Read", "sign", "åpne"])
        ));
    }
    request(&attributes.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What the obligations of a decision come to: the level, and ids of those not known.
fn demanded(result: &DecisionResult) -> (u8, BTreeSet<String>) {
    let (mut level, mut unknown) = (0, BTreeSet::new());
    for notice in &result.obligations {
        let mut known = !notice.assignments.is_empty();
        for assignment in &notice.assignments {
            match assignment.category.as_deref() {
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL) => level = level.max(assignment.value.parse().unwrap()),
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL_ORG) => {}
                _ => known = false,
            }
        }
        if !known {
            unknown.insert(notice.id.clone());
        }
    }
    (level, unknown)
}

#[test]
fn rules_answer_as_the_policy_does() {
    let resource = ResourceId::parse("vat").unwrap();
    for (semantics, seed) in [(Semantics::Altinn, 0x706f_7274_7661_6b04), (Semantics::Standard, 0x706f_7274_7661_6b05)]
    {
        let mut dice = Dice(seed);
        let (mut exact, mut general, mut permits, mut not_applicable) = (0, 0, 0, 0);
        for _ in 0..POLICIES {
            let xml = one_policy(&mut dice, semantics);
            let Ok(read) = ResourcePolicy::read(xml.as_bytes(), &resource, semantics) else { continue };
            if let RightsForm::General { .. } = read.form() {
                general += 1;
                continue;
            }
            exact += 1;
            let policy = compiled(&xml, semantics).unwrap();
            let names: Vec<String> = read.access_packages().iter().map(|package| package.name().to_owned()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).chain(PACKAGES).collect();
            let actions = read.actions();
            let actions: Vec<&str> = actions.iter().map(ActionId::as_str).chain(["other"]).collect();
            for _ in 0..REQUESTS {
                let held: BTreeSet<_> = (0..dice.below(4)).map(|_| dice.one(&names).to_owned()).collect();
                let (action, delegated) = (dice.one(&actions), dice.rarely(2));
                let result = answer(&policy, &call(&held, action)).results.remove(0);
                let by_policy = match result.decision {
                    Decision::Permit => true,
                    Decision::NotApplicable => delegated,
                    other => panic!("{other:?}\n{xml}"),
                };
                let by_rules = read.rules().iter().any(|rule| {
                    rule.actions.iter().any(|known| known.as_str() == action)
                        && rule.access_packages.iter().any(|package| held.contains(package.name()))
                });
                assert_eq!(
                    by_rules || delegated,
                    by_policy,
                    "{semantics:?} {action} {held:?}\n{:?}\n{xml}",
                    read.rules()
                );
                if result.decision == Decision::Permit {
                    permits += 1;
                    let expected = (read.minimum_authentication_level(), read.unknown_obligations().clone());
                    assert_eq!(demanded(&result), expected, "{semantics:?}\n{xml}");
                } else {
                    not_applicable += 1;
                }
            }
        }
        // Enough of each, or nothing is tried.
        assert!(exact > 150 && general > 150, "{semantics:?}: {exact} exact, {general} general");
        assert!(permits > 200 && not_applicable > 700, "{semantics:?}: {permits} permits, {not_applicable}");
    }
}
