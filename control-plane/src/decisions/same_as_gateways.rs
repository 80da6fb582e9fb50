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

#[tokio::test]
async fn both_decide_alike() {
    let test = TestState::with_resources().await;
    let owner = test.resource_owner();
    let put_policy = async |resource: &str, xml: &str| {
        test.put_xml(&format!("{}/policy", story::resource(resource)), &owner, xml).await.expect(200);
    };
    put_policy("vat", &story::policy("vat", &["read", "write"], &[])).await;
    let mut routes = story::routes();
    let drafts = json!({ "name": "drafts", "methods": ["GET"], "path": "/vat/{party}/drafts", "resource": "vat", "action": "write", "party": { "path": "party" } });
    routes["routes"].as_array_mut().unwrap().push(drafts);
    test.put(story::ROUTES, &owner, &routes).await.expect(200);
    test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
    let mut request = story::request();
    request["rights"][0]["action"] = json!("read");
    test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
    let id = test.request_id().await;
    assert_eq!(agree(&test, &id).await, 0);
    test.approve().await;
    assert_eq!(agree(&test, &id).await, 2);

    // A package that the policy begins to name, and one that it ceases to name.
    put_policy("vat", &story::policy("vat", &["read", "write"], &[story::PACKAGE])).await;
    put_policy("annual-accounts", &story::policy("annual-accounts", &["read"], &["urn:altinn:accesspackage:lonn"]))
        .await;
    assert_eq!(agree(&test, &id).await, 2);

    // Levels and obligations.
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
        put_policy("vat", &story::policy("vat", &["read", "write"], &[story::PACKAGE]).replace("</Rule>", &obligation))
            .await;
        assert_eq!(agree(&test, &id).await, permitted, "{category} {level}");
    }

    let path = format!("{}/{id}", story::system_users_of_hansen());
    test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
    assert_eq!(agree(&test, &id).await, 0);
}
