//! What is decided here is what gateways decide from the snapshot of the same data.

use policies::{ApiCall, Decision, authorize, token::PureRust};
use serde_json::json;

use super::story::authorizer;
use crate::state::Clock as _;
use crate::test_state::{TestState, story, tokens};

/// Level of the system user's token: the one of its issuer, which states none.
const LEVEL: u8 = 3;

async fn gateway_permits(test: &TestState, gateway: &str, id: &str, path: &str) -> bool {
    let policy = test.fetch(gateway, None).await.open(test);
    let token = tokens::Maskinporten::vendor("310247030").system_user(id, "310247049").token(test);
    let authorization = format!("Bearer {token}");
    let headers =
        [(":method", "GET"), (":authority", "api.test"), (":path", path), ("authorization", authorization.as_str())];
    let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
    matches!(authorize(&policy, &call, test.clock.now(), &PureRust), Decision::Permit(_))
}

async fn evaluated(test: &TestState, id: &str, action: &str, resource: &str, party: &str) -> bool {
    let body = json!({
        "subject": { "type": "system_user", "id": id },
        "action": { "name": action },
        "resource": { "type": "resource", "id": resource, "properties": { "party": party } },
        "context": { "authentication_level": LEVEL },
    });
    let answer = test.post("/access/v1/evaluation", &authorizer(test), &body).await.expect(200);
    answer["decision"].as_bool().unwrap()
}

/// Every route for every party, here and there; how many are permitted.
async fn agree(test: &TestState, id: &str) -> usize {
    let gateway = test.gateway().await;
    let mut permitted = 0;
    for party in ["310247049", "310247057", "310247065"] {
        for (path, resource, action) in [
            (format!("/vat/{party}/returns"), "vat", "read"),
            (format!("/vat/{party}/drafts"), "vat", "write"),
            (format!("/annual-accounts/{party}"), "annual-accounts", "read"),
        ] {
            let here = evaluated(test, id, action, resource, party).await;
            assert_eq!(here, gateway_permits(test, &gateway, id, &path).await, "{path}");
            permitted += usize::from(here);
        }
    }
    permitted
}

/// The story's resources with a right to write, and its system.
async fn with_drafts() -> TestState {
    let test = TestState::with_resources().await;
    put_policy(&test, "vat", &story::policy("vat", &["read", "write"], &[])).await;
    let mut routes = story::routes();
    let drafts = json!({
        "name": "drafts", "methods": ["GET"], "path": "/vat/{party}/drafts", "resource": "vat", "action": "write",
        "party": { "path": "party" },
    });
    routes["routes"].as_array_mut().unwrap().push(drafts);
    test.put(story::ROUTES, &test.resource_owner(), &routes).await.expect(200);
    test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
    test
}

/// … and its system user, who may read VAT returns and has a package.
async fn with_reader() -> (TestState, String) {
    let test = with_drafts().await;
    let mut request = story::request();
    request["rights"][0]["action"] = json!("read");
    test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
    let id = test.approve().await;
    (test, id)
}

async fn put_policy(test: &TestState, resource: &str, xml: &str) {
    let path = format!("{}/policy", story::resource(resource));
    test.put_xml(&path, &test.resource_owner(), xml).await.expect(200);
}

#[tokio::test]
async fn what_is_approved_is_held_until_it_is_withdrawn() {
    let test = with_drafts().await;
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    let id = test.request_id().await;
    assert_eq!(agree(&test, &id).await, 0);
    test.approve().await;
    assert_eq!(agree(&test, &id).await, 3);
    let path = format!("{}/{id}", story::system_users_of_hansen());
    test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
    assert_eq!(agree(&test, &id).await, 0);
}

#[tokio::test]
async fn policies_change_what_is_held() {
    let (test, id) = with_reader().await;
    assert_eq!(agree(&test, &id).await, 2);
    // A package that the policy begins to name, and one that it ceases to name.
    put_policy(&test, "vat", &story::policy("vat", &["read", "write"], &[story::PACKAGE])).await;
    let other = story::policy("annual-accounts", &["read"], &["urn:altinn:accesspackage:lonn"]);
    put_policy(&test, "annual-accounts", &other).await;
    assert_eq!(agree(&test, &id).await, 2);
    for (category, level, permitted) in [
        ("urn:altinn:minimum-authenticationlevel", "3", 2),
        ("urn:altinn:minimum-authenticationlevel", "4", 0),
        ("urn:altinn:minimum-authenticationlevel-org", "4", 2),
        ("urn:example:notify", "1", 0),
    ] {
        let obligation = format!(
            "</Rule><ObligationExpressions><ObligationExpression ObligationId=\"o\" FulfillOn=\"Permit\">\
             <AttributeAssignmentExpression AttributeId=\"a\" Category=\"{category}\"><AttributeValue DataType=\
             \"http://www.w3.org/2001/XMLSchema#integer\">{level}</AttributeValue></AttributeAssignmentExpression>\
             </ObligationExpression></ObligationExpressions>"
        );
        let xml = story::policy("vat", &["read", "write"], &[story::PACKAGE]);
        put_policy(&test, "vat", &xml.replace("</Rule>", &obligation)).await;
        assert_eq!(agree(&test, &id).await, permitted, "{category} {level}");
    }
}

/// Policies that rules of packages cannot express, and how much is permitted under each of the semantics. A delegation comes
/// second: only where the policy says nothing.
#[tokio::test]
async fn policies_are_read_alike_under_either_semantics() {
    let (test, id) = with_reader().await;
    let with_package = story::policy("vat", &["read", "write"], &[story::PACKAGE]);
    let (_, rule) = with_package.split_once("<Rule RuleId=\"1\" Effect=\"Permit\"").unwrap();
    let denying = with_package.replace("</Policy>", &format!("<Rule RuleId=\"2\" Effect=\"Deny\"{rule}"));
    // A second choice of subjects: both are demanded by the standard, either is enough for Altinn.
    let subjects = |xml: &str, value: &str| {
        let (before, rest) = xml.split_once("<AnyOf>").unwrap();
        let (choice, after) = rest.split_once("</AnyOf>").unwrap();
        let second = choice.replace("regnskap-okonomi-rapport", value);
        format!("{before}<AnyOf>{choice}</AnyOf><AnyOf>{second}</AnyOf>{after}")
    };
    let two_choices = subjects(&with_package, "lonn");
    let condition = "</Target><Condition><Apply FunctionId=\"urn:oasis:names:tc:xacml:1.0:function:boolean-equal\">\
        <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#boolean\">true</AttributeValue>\
        <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#boolean\">false</AttributeValue></Apply></Condition></Rule>";
    let never = with_package.replace("</Target></Rule>", condition);
    let first_applicable = with_package.replace(
        "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides",
        "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:first-applicable",
    );
    for (name, xml, altinn, standard) in [
        ("with package", &with_package, 3, 3),
        ("denying", &denying, 1, 1),
        ("two choices", &two_choices, 3, 2),
        ("never", &never, 1, 2),
        ("first applicable", &first_applicable, 3, 3),
    ] {
        for (semantics, permitted) in [("altinn", altinn), ("standard", standard)] {
            let path = format!("{}/policy?semantics={semantics}", story::resource("vat"));
            test.put_xml(&path, &test.resource_owner(), xml).await.expect(200);
            assert_eq!(agree(&test, &id).await, permitted, "{name} {semantics}");
        }
    }
}

#[tokio::test]
async fn sub_units_and_access_lists_count_alike() {
    let (test, id) = with_reader().await;
    let mut bakeri = story::parties()["parties"][1].clone();
    bakeri["mainUnit"] = json!("310247049");
    test.put("/portvakt/v1/parties", &test.operator(), &json!({ "parties": [bakeri] })).await.expect(200);
    assert_eq!(agree(&test, &id).await, 4);

    let owner = test.resource_owner();
    let list = format!("{}/access-lists/banks", story::PROVIDER);
    let put_members = async |members: serde_json::Value| {
        test.put(&list, &owner, &json!({ "members": members })).await.expect(200);
    };
    put_members(json!([])).await;
    let restricted = json!({
        "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessLists": ["banks"], "accessListMode": "enabled",
    });
    test.put(&story::resource("vat"), &owner, &restricted).await.expect(200);
    assert_eq!(agree(&test, &id).await, 2);
    put_members(json!([{ "organizationNumber": "310247057", "actions": ["read"] }])).await;
    assert_eq!(agree(&test, &id).await, 3);
    put_members(
        json!([{ "organizationNumber": "310247057", "actions": ["write"] }, { "organizationNumber": "310247049" }]),
    )
    .await;
    assert_eq!(agree(&test, &id).await, 3);
}
