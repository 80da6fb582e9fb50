use serde_json::json;

use super::*;
use crate::snapshot::testing::enforced;

const USER: &str = "f950ddae-06c3-4b57-b940-702417a90df0";
const WITHDRAWN: &str = "00000000-0000-4000-8000-000000000001";

fn policy() -> PolicySet {
    let rule = |id: &str, line: u32, actions: &[&str], packages: &[&str]| {
        let packages: Vec<_> = packages.iter().map(|name| format!("urn:altinn:accesspackage:{name}")).collect();
        json!({"id": id, "line": line, "actions": actions, "accessPackages": packages})
    };
    enforced(json!({
        "provider": "regnskapsregisteret",
        "resources": [
            {"id": "vat", "minimumAuthenticationLevel": 3, "policyId": "urn:vat", "policyVersion": "2.1", "rules": [
                rule("1", 7, &["read"], &["skatt", "revisor"]), rule("2", 31, &["write", "sign"], &["regnskap"]),
            ]},
            {"id": "listed", "accessList": [{"party": "310247057"}], "rules": [rule("1", 1, &["read"], &["skatt"])]},
            {"id": "strange", "unknownObligations": ["urn:x"], "rules": [rule("1", 1, &["read"], &["skatt"])]},
        ],
        "systems": [{"id": "310247030_smartcloud", "vendor": "310247030", "clientIds": ["client"]}],
        "systemUsers": [{"id": USER, "owner": "310247049", "system": "310247030_smartcloud", "kind": "agent", "delegations": [
            {"party": "310247057", "accessPackages": ["urn:altinn:accesspackage:skatt"]},
            {"party": "310247065", "rights": [{"resource": "vat", "action": "write"}], "accessPackages": ["urn:altinn:accesspackage:skatt"]},
        ]}],
        "withdrawnSystemUsers": [WITHDRAWN],
    }))
}

/// The answer's code, and its reasons in English.
fn ask(user: &str, party: &str, resource: &str, action: &str, authentication_level: u8) -> (String, String) {
    let question = Question {
        system_user: user.parse().unwrap(),
        party: party.parse().unwrap(),
        right: Right { resource: resource.parse().unwrap(), action: action.parse().unwrap() },
        authentication_level,
    };
    let explanation = explain(&policy(), &question, crate::snapshot::testing::now());
    assert_eq!(explanation.permitted, explanation.denial.is_none());
    for language in [Language::Nb, Language::Nn, Language::En] {
        let text = explanation.text(language);
        assert_eq!(text.len(), explanation.reasons.len());
        assert!(text.iter().all(|sentence| sentence.ends_with('.') && sentence.len() > 10), "{text:?}");
    }
    (explanation.denial.unwrap_or("permit").to_owned(), explanation.text(Language::En).join(" "))
}

#[test]
fn a_permit_names_the_rule_the_version_and_the_line() {
    assert_eq!(
        ask(USER, "310247057", "vat", "read", 3),
        ("permit".into(), "The access package `skatt` gives the right (urn:vat, version 2.1, rule 1, line 7).".into())
    );
    assert_eq!(
        ask(USER, "310247065", "vat", "write", 4),
        (
            "permit".into(),
            "The right was delegated to the system user directly (urn:vat, version 2.1, rule 2, line 31).".into()
        )
    );
}

#[test]
fn a_refusal_names_what_is_nearest() {
    assert_eq!(
        ask(USER, "310247057", "vat", "write", 3),
        (
            "right_missing".into(),
            "The system user holds the access package `skatt` for the organization. It gives read, not this. \
             The system user holds the right for 1 other organizations, among them 310247065. \
             The right comes with the access packages regnskap, or can be delegated directly."
                .into()
        )
    );
    assert_eq!(
        ask(USER, "310247065", "vat", "sign", 3).1,
        "The system user holds the access package `skatt` for the organization. It gives read, not this. \
         The system user was delegated write for the organization, not this. \
         The right comes with the access packages regnskap, or can be delegated directly."
    );
    assert_eq!(
        ask(USER, "310247057", "vat", "read", 2),
        ("authentication_level_too_low".into(), "Authentication level 3 is required, the token has 2.".into())
    );
    assert_eq!(
        ask(USER, "310247073", "vat", "write", 3),
        (
            "party_not_represented".into(),
            "The system user does not act for this organization. \
             The system user holds the right for 1 other organizations, among them 310247065."
                .into()
        )
    );
    assert_eq!(
        ask(USER, "310247049", "vat", "read", 3).0,
        "right_missing",
        "the owner itself is represented, though nothing is held for it"
    );
}

#[test]
fn every_other_refusal_says_why() {
    assert_eq!(ask(WITHDRAWN, "310247049", "vat", "read", 3).0, "system_user_withdrawn");
    assert_eq!(ask("00000000-0000-4000-8000-000000000002", "310247049", "vat", "read", 3).0, "system_user_unknown");
    let (code, text) = ask(USER, "310247057", "vat", "fly", 3);
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("right_missing", "No rule is about the action; the resource has read, sign, write.")
    );
    assert_eq!(ask(USER, "310247057", "none", "read", 3).1, "The resource is not one of this service.");
    assert_eq!(ask(USER, "310247065", "listed", "read", 3).0, "party_not_listed");
    assert_eq!(ask(USER, "310247057", "listed", "read", 3).0, "permit");
    assert_eq!(ask(USER, "310247057", "strange", "read", 3).0, "obligation_unknown");
}

#[test]
fn the_form_is_stable() {
    let question = Question {
        system_user: USER.parse().unwrap(),
        party: "310247057".parse().unwrap(),
        right: Right { resource: "vat".parse().unwrap(), action: "write".parse().unwrap() },
        authentication_level: 3,
    };
    let explanation = explain(&policy(), &question, crate::snapshot::testing::now());
    assert_eq!(
        serde_json::to_value(&explanation).unwrap(),
        json!({
            "permitted": false, "denial": "right_missing", "snapshotVersion": "1.1",
            "reasons": [
                {"code": "holds_other_actions", "package": "skatt", "actions": ["read"]},
                {"code": "holds_for_other_parties", "parties": ["310247065"], "count": 1},
                {"code": "would_be_granted_by", "packages": ["regnskap"]},
            ],
        })
    );
}

#[test]
fn languages_are_chosen_as_asked() {
    for (header, language) in [
        ("nn-NO, nb;q=0.8", Language::Nn),
        ("no", Language::Nb),
        ("sv, nb", Language::Nb),
        ("en-GB", Language::En),
        ("", Language::En),
        ("*", Language::En),
    ] {
        assert_eq!(Language::of_header(header), language, "{header}");
    }
}
