//! Requests for agent system users, from asking to deciding.

use serde_json::{Value, json};

use crate::test_state::{TestState, agents, story, tokens};

#[tokio::test]
async fn a_request_asks_for_packages_only_and_is_the_same_when_asked_again() {
    let test = TestState::with_agent_system().await;
    let answer = test.post(agents::REQUESTS, &test.vendor(), &agents::request()).await;
    let location = answer.headers["location"].clone();
    let request = answer.expect(201);
    let id = request["id"].as_str().unwrap();
    assert_eq!(location, format!("http://portvakt.test/authentication/api/v1/systemuser/request/agent/{id}"));
    let confirm_url =
        format!("http://portvakt.test/accessmanagement/ui/systemuser/agentrequest?id={id}&DONTCHOOSEREPORTEE=true");
    assert_eq!(
        request,
        json!({
            "id": id, "integrationTitle": "Agenten", "externalRef": agents::ACCOUNTANT, "systemId": agents::SYSTEM,
            "partyOrgNo": agents::ACCOUNTANT, "accessPackages": [{ "urn": agents::WITHOUT_SIGNING }],
            "status": "New", "redirectUrl": null, "confirmUrl": confirm_url, "escalated": false,
            "created": test.clock.text(), "timedOut": false,
        })
    );
    let again = test.post(agents::REQUESTS, &test.vendor(), &agents::request()).await.expect(200);
    assert_eq!(again, request);
    let by_id = test.get(&format!("{}/{id}", agents::REQUESTS), &test.vendor()).await.expect(200);
    let reference =
        format!("{}/byexternalref/{}/{}/{}", agents::REQUESTS, agents::SYSTEM, agents::ACCOUNTANT, agents::ACCOUNTANT);
    assert_eq!(test.get(&reference, &test.vendor()).await.expect(200), by_id);
    assert_eq!(by_id, request);
}

#[tokio::test]
async fn every_wrong_request_has_its_code_and_nothing_is_stored() {
    let test = TestState::with_agent_system().await;
    let before = test.state.store.revision().await.unwrap();
    let package = |name: &str| json!([{ "urn": format!("urn:altinn:accesspackage:{name}") }]);
    for (member, value, status, code) in [
        ("accessPackages", json!([]), 400, "AUTH-00058"),
        ("accessPackages", json!(null), 400, "AUTH-00058"),
        ("accessPackages", package("maskinporten-scopes"), 400, "AUTH-00065"),
        ("accessPackages", package("skatt-naering"), 400, "AUTH-00063"),
        ("accessPackages", json!([{ "urn": "x" }]), 400, "AUTH-00063"),
        ("systemId", json!("310247030_none"), 404, "AUTH-00011"),
        ("partyOrgNo", json!("310247022"), 400, "AUTH-00000"),
        ("redirectUrl", json!("https://evil.no/"), 400, "AUTH-00021"),
        ("externalRef", json!("x".repeat(256)), 400, "field_invalid"),
    ] {
        let mut body = agents::request();
        body[member] = value;
        test.post(agents::REQUESTS, &test.vendor(), &body).await.expect_code(status, code);
    }
    let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
    test.post(agents::REQUESTS, &foreign, &agents::request()).await.expect_code(401, "vendor_not_owner_of_requested");
    assert_eq!(test.state.store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn a_reference_is_of_one_system_user_whichever_kind() {
    let test = TestState::with_agent_system().await;
    let standard = json!({
        "systemId": agents::SYSTEM, "partyOrgNo": agents::ACCOUNTANT,
        "accessPackages": [{ "urn": "urn:altinn:accesspackage:a-ordning" }],
    });
    test.post(story::REQUESTS, &test.vendor(), &standard).await.expect(201);
    test.post(agents::REQUESTS, &test.vendor(), &agents::request()).await.expect_code(400, "AUTH-00007");

    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    test.post(story::REQUESTS, &test.vendor(), &standard).await.expect_code(400, "AUTH-00007");
    test.send("POST", &agents::decision(&id, "reject"), &test.accountant(), None).await.expect(200);
    test.post(story::REQUESTS, &test.vendor(), &standard).await.expect_code(400, "AUTH-00009");
    test.delete(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect(202);
    test.approve_agent(&test.agent_request().await).await;
    test.post(story::REQUESTS, &test.vendor(), &standard).await.expect_code(400, "AUTH-00004");
}

#[tokio::test]
async fn the_two_kinds_do_not_answer_for_each_other() {
    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    let accountant = test.accountant();
    test.get(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect_code(404, "AUTH-00010");
    let standard = format!("/authentication/api/v1/systemuser/request/50000003/{id}");
    test.get(&standard, &accountant).await.expect_code(404, "AUTH-00010");
    for step in ["approve", "reject"] {
        let path = format!("{standard}/{step}");
        test.send("POST", &path, &accountant, None).await.expect_code(404, "AUTH-00010");
    }
    let test = TestState::with_request().await;
    let id = test.request_id().await;
    test.get(&format!("{}/{id}", agents::REQUESTS), &test.vendor()).await.expect_code(404, "AUTH-00030");
    let path = format!("/authentication/api/v1/systemuser/request/agent/50000001/{id}/approve");
    test.send("POST", &path, &test.administrator_of_hansen(), None).await.expect_code(404, "AUTH-00030");
}

#[tokio::test]
async fn the_customer_decides_once() {
    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    let accountant = test.accountant();
    let answer = test.send("POST", &agents::decision(&id, "approve"), &accountant, None).await;
    assert_eq!(answer.expect(200), json!(true));
    for step in ["approve", "reject"] {
        let answer = test.send("POST", &agents::decision(&id, step), &accountant, None).await;
        answer.expect_code(409, "AUTH-00013");
    }
    let request = test.get(&format!("{}/{id}", agents::REQUESTS), &test.vendor()).await.expect(200);
    assert_eq!(request["status"], "Accepted");
    test.delete(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect_code(409, "AUTH-00013");
}

#[tokio::test]
async fn only_the_party_that_is_asked_decides() {
    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    let (hansen, foreign) = (test.administrator_of_hansen(), tokens::Maskinporten::vendor("310247065").token(&test));
    for step in ["/approve", "/reject", "/escalate"] {
        let through_own = format!("/authentication/api/v1/systemuser/request/agent/50000001/{id}{step}");
        test.send("POST", &through_own, &hansen, None).await.expect_code(403, "AUTH-00042");
    }
    test.send("POST", &agents::decision(&id, "approve"), &hansen, None).await.expect_code(403, "AUTH-00066");
    let own = format!("/authentication/api/v1/systemuser/request/agent/50000001/{id}");
    test.get(&own, &hansen).await.expect_code(403, "AUTH-00042");
    let by_person = format!("/authentication/api/v1/systemuser/request/agent/{id}");
    test.get(&by_person, &hansen).await.expect_code(404, "AUTH-00030");
    test.get(&format!("{}/{id}", agents::REQUESTS), &foreign).await.expect_code(404, "AUTH-00030");
    test.delete(&format!("{}/{id}", story::REQUESTS), &foreign).await.expect_code(404, "AUTH-00010");
    let seen = test.get(&by_person, &test.accountant()).await.expect(200);
    assert_eq!(
        (&seen["partyId"], &seen["userMayEscalateButNotApprove"], &seen["status"]),
        (&json!(50_000_003), &json!(false), &json!("New"))
    );
}

#[tokio::test]
async fn what_was_passed_on_waits_for_the_access_managers() {
    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    let accountant = test.accountant();
    let pending = format!("/authentication/api/v1/systemuser/request/agent/50000003/{}/pending", agents::ACCOUNTANT);
    assert_eq!(test.get(&pending, &accountant).await.expect(200), json!([]));
    let escalate = agents::decision(&id, "escalate");
    test.send("POST", &escalate, &accountant, None).await.expect_code(409, "may_approve");
    let member = 20_000_033;
    let role = json!({ "userId": member, "organizationNumber": agents::ACCOUNTANT, "role": "styremedlem" });
    let event = json!({ "events": [{ "sequence": 1, "roleAdded": role }] });
    test.post("/portvakt/v1/parties/events", &test.operator(), &event).await.expect(200);
    let member = tokens::User::new(member).token(&test);
    test.send("POST", &agents::decision(&id, "approve"), &member, None).await.expect_code(403, "AUTH-00066");
    let seen = test.get(&format!("/authentication/api/v1/systemuser/request/agent/{id}"), &member).await.expect(200);
    assert_eq!(seen["userMayEscalateButNotApprove"], true);
    for _ in 0..2 {
        assert_eq!(test.send("POST", &escalate, &member, None).await.expect(200), json!(true));
    }
    let list = test.get(&pending, &accountant).await.expect(200);
    assert_eq!(
        (list.as_array().map(Vec::len), &list[0]["id"], &list[0]["escalated"]),
        (Some(1), &json!(id), &Value::Bool(true))
    );
    let other = pending.replace(agents::ACCOUNTANT, "310247049");
    test.get(&other, &accountant).await.expect_code(403, "AUTH-00042");
    test.get(&pending, &test.administrator_of_hansen()).await.expect_code(403, "AUTH-00066");
    test.send("POST", &agents::decision(&id, "reject"), &accountant, None).await.expect(200);
    test.send("POST", &escalate, &member, None).await.expect_code(409, "AUTH-00013");
    assert_eq!(test.get(&pending, &accountant).await.expect(200), json!([]));
}

#[tokio::test]
async fn what_the_system_no_longer_offers_is_not_approved() {
    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    let packages = format!("{}/{}/accesspackages", story::SYSTEMS, agents::SYSTEM);
    let body = json!([{ "urn": agents::PAYROLL }]);
    test.put(&packages, &test.vendor(), &body).await.expect(200);
    let answer = test.send("POST", &agents::decision(&id, "approve"), &test.accountant(), None).await;
    answer.expect_code(400, "AUTH-00063");
}

#[tokio::test]
async fn the_vendor_pages_through_its_requests_of_this_kind() {
    let test = TestState::with_agent_system().await;
    for number in 0..60 {
        let mut body = agents::request();
        body["externalRef"] = json!(format!("ref {number}"));
        test.post(agents::REQUESTS, &test.vendor(), &body).await.expect(201);
    }
    let path = format!("{}/bysystem/{}", agents::REQUESTS, agents::SYSTEM);
    let first = test.get(&path, &test.vendor()).await.expect(200);
    let next = first["links"]["next"].as_str().unwrap().strip_prefix("http://portvakt.test").unwrap();
    assert!(next.starts_with(&path));
    let second = test.get(next, &test.vendor()).await.expect(200);
    let ids: std::collections::BTreeSet<_> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["data"].as_array().unwrap())
        .map(|one| one["id"].to_string())
        .collect();
    assert_eq!((ids.len(), &second["links"]), (60, &json!({})));
    let standard = format!("{}/bysystem/{}", story::REQUESTS, agents::SYSTEM);
    assert_eq!(test.get(&standard, &test.vendor()).await.expect(200)["data"], json!([]));
    let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
    test.get(&path, &foreign).await.expect_code(404, "AUTH-00011");
}
