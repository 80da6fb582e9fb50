//! Which rules name the resource.

use super::*;
use crate::xacml::testing::{PERMIT_OVERRIDES, document, policy, policy_set, rule, target};

fn check(resource: &str, alternatives: &[&str]) -> Result<(), &'static str> {
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &target(alternatives)));
    check_resource_policy(&document(&xml).unwrap(), &ResourceId::parse(resource).unwrap()).map_err(|error| error.code)
}

#[test]
fn every_rule_names_the_resource_and_no_other() {
    assert_eq!(check("vat", &["resource urn:altinn:resource vat"]), Ok(()));
    assert_eq!(check("vat", &["resource urn:altinn:resource VAT"]), Ok(()));
    assert_eq!(
        check("vat", &["resource urn:altinn:resource vat", "resource urn:altinn:resource other"]),
        Err("resource_other")
    );
    assert_eq!(check("vat", &["subject urn:altinn:resource vat"]), Err("resource_missing"));
    let set = document(&policy_set("s", PERMIT_OVERRIDES, "")).unwrap();
    assert_eq!(
        check_resource_policy(&set, &ResourceId::parse("vat").unwrap()).unwrap_err().code,
        "feature_unsupported"
    );
}

#[test]
fn an_app_may_be_named_by_owner_and_app() {
    for (owner, app, outcome) in [
        ("skd", "tax-report", Ok(())),
        ("SKD", "Tax-Report", Ok(())),
        ("brg", "tax-report", Err("resource_missing")),
        ("skd", "other", Err("resource_missing")),
    ] {
        let named = [format!("resource urn:altinn:org {owner}"), format!("resource urn:altinn:app {app}")];
        assert_eq!(check("app_skd_tax-report", &[&named[0], &named[1]]), outcome);
    }
    assert_eq!(check("app_skd_tax-report", &["resource urn:altinn:org skd"]), Err("resource_missing"));
    assert_eq!(
        check("skd_tax-report", &["resource urn:altinn:org skd", "resource urn:altinn:app tax-report"]),
        Err("resource_missing")
    );
}
