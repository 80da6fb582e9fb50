//! Every mistake in a document is found, named, and placed.

use serde_json::{Value, json};

use super::compile;
use crate::snapshot::Document;
use crate::snapshot::image::check::ROUTES_MAX;
use crate::urn;

fn valid() -> Value {
    json!({
        "provider": "p",
        "resources": [{"id": "vat", "rules": [{"actions": ["read"], "accessPackages": ["urn:altinn:accesspackage:a"]}]}],
        "routes": [{"name": "r", "methods": ["GET"], "path": "/vat/{party}", "resource": "vat", "action": "read", "party": {"path": "party"}}],
        "systems": [{"id": "310247030_s", "vendor": "310247030", "clientIds": ["c"]}],
        "systemUsers": [{"id": "f950ddae-06c3-4b57-b940-702417a90df0", "owner": "310247049", "system": "310247030_s",
            "delegations": [{"party": "310247049", "rights": [{"resource": "vat", "action": "read"}]}]}],
    })
}

/// One mistake, found as `path code`.
fn check(change: impl Fn(&mut Value), expected: &str) {
    let mut value = valid();
    change(&mut value);
    let document: Document = serde_json::from_value(value).unwrap();
    let errors = compile(&document).unwrap_err().0;
    let found: Vec<String> = errors.iter().map(|error| format!("{} {}", error.path, error.code)).collect();
    assert!(found.iter().any(|found| found == expected), "{found:?}");
    assert!(errors.iter().all(|error| !error.message.is_empty()));
}

#[test]
fn mistakes_are_named() {
    assert!(compile(&serde_json::from_value(valid()).unwrap()).is_ok());
    let route =
        |name: &'static str, value: Value| move |document: &mut Value| document["routes"][0][name] = value.clone();
    check(route("name", json!("")), "/routes/0/name route_name");
    check(route("host", json!("Example.no")), "/routes/0/host route_host");
    check(route("host", json!("a:80")), "/routes/0/host route_host");
    check(route("methods", json!([])), "/routes/0/methods route_method");
    check(route("methods", json!(["get"])), "/routes/0/methods route_method");
    check(route("methods", json!(["TRACE"])), "/routes/0/methods route_method");
    check(route("path", json!("vat")), "/routes/0/path route_path");
    check(route("action", json!("write")), "/routes/0 route_right_unknown");
    check(route("resource", json!("other")), "/routes/0 route_right_unknown");
    check(route("party", json!({"path": "owner"})), "/routes/0/party route_party");
    check(route("party", json!({"header": "a b"})), "/routes/0/party route_party");
    check(route("party", json!({"query": ""})), "/routes/0/party route_party");
    check(route("callers", json!([])), "/routes/0/callers route_callers");
    check(
        |document| document["resources"][0]["minimumAuthenticationLevel"] = json!(5),
        "/resources/0 authentication_level",
    );
    let twice = |list: &'static str| {
        move |document: &mut Value| {
            let first = document[list][0].clone();
            document[list].as_array_mut().unwrap().push(first);
        }
    };
    check(twice("routes"), "/routes/1 route_conflict");
    check(twice("routes"), "/routes/1/name route_name_twice");
    check(twice("resources"), "/resources/1 resource_twice");
    check(twice("systems"), "/systems/1 system_twice");
    check(twice("systemUsers"), "/systemUsers/1 system_user_twice");
    let user =
        |name: &'static str, value: Value| move |document: &mut Value| document["systemUsers"][0][name] = value.clone();
    check(user("system", json!("310247030_other")), "/systemUsers/0/system system_unknown");
    check(user("owner", json!("310247057")), "/systemUsers/0/delegations/0/party party_not_owner");
    let delegation = |delegations: Value| user("delegations", delegations);
    let one = json!({"party": "310247049"});
    check(delegation(json!([one, one])), "/systemUsers/0/delegations/1/party party_twice");
    let unknown = json!([{"party": "310247049", "rights": [{"resource": "other", "action": "read"}]}]);
    check(delegation(unknown), "/systemUsers/0/delegations/0/rights resource_unknown");
    check(
        |document| document["withdrawnSystemUsers"] = json!(["f950ddae-06c3-4b57-b940-702417a90df0"]),
        "/systemUsers/0 system_user_withdrawn",
    );
    let issuer = |issuer: Value| move |document: &mut Value| document["issuers"] = json!([issuer]);
    check(issuer(json!({"issuer": "", "kind": "altinn", "keys": []})), "/issuers/0 issuer_empty");
    check(issuer(json!({"issuer": "i", "kind": "altinn", "keys": [{}]})), "/issuers/0/keys/0 key_without_kid");
    check(
        issuer(json!({"issuer": "i", "kind": "altinn", "keys": [], "authenticationLevel": 9})),
        "/issuers/0 authentication_level",
    );
    check(
        |document| {
            let issuer = json!({"issuer": "i", "kind": "altinn", "keys": []});
            document["issuers"] = json!([issuer, issuer]);
        },
        "/issuers/1 issuer_twice",
    );
}

#[test]
fn unknown_members_and_wrong_identifiers_are_not_read() {
    for (pointer, value) in [
        ("/routes/0/nmae", json!("x")),
        ("/systemUsers/0/owner", json!("310247048")),
        ("/systems/0/vendor", json!("1")),
        ("/systemUsers/0/id", json!("x")),
        ("/resources/0/rules/0/accessPackages", json!(["a"])),
        ("/provider", json!("P")),
        ("/routes/0/scopes", json!(["a b"])),
    ] {
        let mut document = valid();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[member] = value;
        assert!(serde_json::from_value::<Document>(document).is_err(), "{pointer}");
    }
}

#[test]
fn routes_are_bounded() {
    let with_routes = |count: usize| {
        let mut document = valid();
        let route = document["routes"][0].take();
        let of = |number| {
            let mut route = route.clone();
            (route["name"], route["path"]) = (format!("r{number}").into(), format!("/r{number}/{{party}}").into());
            route
        };
        document["routes"] = (0..count).map(of).collect();
        compile(&serde_json::from_value(document).unwrap())
    };
    let image = crate::snapshot::image::Image::load(with_routes(ROUTES_MAX).unwrap()).unwrap();
    assert_eq!(image.routes().all().len(), ROUTES_MAX);
    assert_eq!(with_routes(ROUTES_MAX + 1).unwrap_err().0[0].code, "too_many_routes");
}

#[test]
fn routes_match_by_how_specific_they_are_whatever_their_parameters_are_called() {
    let mut document = valid();
    document["resources"][0]["rules"][0]["actions"] = json!(["read", "write"]);
    document["routes"] = json!([
        {"name": "any", "methods": ["GET"], "path": "/{a}/{b}", "resource": "vat", "action": "read", "party": "owner"},
        {"name": "second", "methods": ["GET"], "path": "/{z}/b", "resource": "vat", "action": "write", "party": "owner"},
        {"name": "rest", "methods": ["GET"], "path": "/**", "resource": "vat", "action": "write", "party": "owner"},
    ]);
    let document: Document = serde_json::from_value(document).unwrap();
    let image = crate::snapshot::image::Image::load(compile(&document).unwrap()).unwrap();
    let route = |path: &str| {
        let headers = [(":method", "GET"), (":authority", "a"), (":path", path)];
        let call = crate::ApiCall::parse(headers.iter().map(|(name, value)| (*name, value.as_bytes()))).unwrap();
        image.routes().candidates(&call).find(|route| route.matches(&call)).map(|route| route.name.to_string()).unwrap()
    };
    assert_eq!(route("/x/b"), "second");
    assert_eq!(route("/x/c"), "any");
    assert_eq!(route("/x"), "rest");
    assert_eq!(route("/x/"), "rest");
    assert_eq!(route("/"), "rest");
}

#[test]
fn a_policy_that_asks_what_no_gateway_knows_is_refused() {
    let string = "http://www.w3.org/2001/XMLSchema#string";
    let matching = |category: &str, attribute: &str, value: &str| {
        format!(
            r#"<AnyOf><AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal"><AttributeValue DataType="{string}">{value}</AttributeValue><AttributeDesignator Category="{category}" AttributeId="{attribute}" DataType="{string}" MustBePresent="false"/></Match></AllOf></AnyOf>"#
        )
    };
    let resource = matching(urn::CATEGORY_RESOURCE, urn::RESOURCE, "vat");
    let policy = |denied: &str| {
        let permits = matching(urn::CATEGORY_ACTION, urn::ACTION_ID, "read");
        format!(
            r#"<Policy xmlns="{}" PolicyId="p" Version="1.0" RuleCombiningAlgId="{}"><Target/><Rule RuleId="1" Effect="Permit"><Target>{resource}{permits}</Target></Rule><Rule RuleId="2" Effect="Deny"><Target>{resource}{denied}</Target></Rule></Policy>"#,
            urn::XACML_NAMESPACE,
            urn::RULE_DENY_OVERRIDES,
        )
    };
    let compiled = |denied: &str| {
        let mut document = valid();
        document["resources"][0] = json!({"id": "vat", "policy": {"semantics": "standard", "xml": policy(denied)}});
        compile(&serde_json::from_value(document).unwrap())
    };
    // What a gateway knows is evaluated there.
    assert!(compiled(&matching(urn::CATEGORY_RESOURCE, urn::ORGANIZATION_NUMBER, "310247057")).is_ok());
    // A party's number in Altinn is not known there, and the rule would deny nobody.
    let refused = compiled(&matching(urn::CATEGORY_RESOURCE, "urn:altinn:partyid", "50000001")).unwrap_err();
    assert_eq!(refused.0[0].path, "/resources/0/policy");
}
