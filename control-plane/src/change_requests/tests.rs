//! A vendor asks for changes, the customer decides: what is stored, what gateways enforce, who may do what.

use policies::token::PureRust;
use policies::{ApiCall, Decision, authorize};
use serde_json::{Value, json};

use crate::requests::model::LIFETIME_DAYS;
use crate::state::Clock as _;
use crate::test_state::{Answer, TestState, story, tokens};

const CHANGES: &str = "/authentication/api/v1/systemuser/changerequest";
const PAYROLL: &str = "urn:altinn:accesspackage:lonn";

fn correlation(number: u32) -> String {
    format!("11111111-0000-4000-8000-{number:012}")
}

fn right(resource: &str) -> Value {
    json!({ "resource": [{ "id": "urn:altinn:resource", "value": resource }] })
}

fn packages(urns: &[&str]) -> Value {
    urns.iter().map(|urn| json!({ "urn": urn })).collect()
}

/// More of the accounts, less of the VAT and of the package.
fn change() -> Value {
    json!({
        "requiredRights": [right("annual-accounts")], "unwantedRights": [right("vat")],
        "requiredAccessPackages": packages(&[PAYROLL]), "unwantedAccessPackages": packages(&[story::PACKAGE]),
        "redirectUrl": "https://smartcloud.no/done?x=1",
    })
}

fn of_hansen(number: u32, step: &str) -> String {
    format!("{CHANGES}/50000001/{}{step}", correlation(number))
}

/// The story's system with more to ask for, and its system user; gives the id.
async fn with_system_user() -> (TestState, String) {
    let test = TestState::with_request().await;
    let id = test.approve().await;
    let mut system = story::system();
    system["rights"] = json!([right("vat"), right("annual-accounts")]);
    system["accessPackages"] = packages(&[story::PACKAGE, PAYROLL]);
    test.put(&format!("{}/310247030_smartcloud", story::SYSTEMS), &test.vendor(), &system).await.expect(200);
    (test, id)
}

fn to(id: &str, number: u32) -> String {
    format!("{CHANGES}/vendor?correlation-id={}&system-user-id={id}", correlation(number))
}

async fn asked(test: &TestState, id: &str, number: u32, body: &Value) -> Answer {
    test.post(&to(id, number), &test.vendor(), body).await
}

async fn held(test: &TestState, id: &str) -> (Value, Value) {
    let path = format!("{}/{id}/delegations", story::system_users_of_hansen());
    let held = test.get(&path, &test.administrator_of_hansen()).await.expect(200);
    (held["rights"].clone(), held["accessPackages"].clone())
}

async fn decided(test: &TestState, number: u32, step: &str) -> Answer {
    test.send("POST", &of_hansen(number, step), &test.administrator_of_hansen(), None).await
}

#[tokio::test]
async fn what_is_asked_is_held_once_it_is_approved_and_enforced() {
    let (test, id) = with_system_user().await;
    let gateway = test.gateway().await;
    let token = tokens::Maskinporten::vendor("310247030").system_user(&id, "310247049").token(&test);
    let is_permitted = async |path: &str| {
        let policy = test.fetch(&gateway, None).await.open(&test);
        let authorization = format!("Bearer {token}");
        let headers =
            [(":method", "GET"), (":authority", "a.test"), (":path", path), ("authorization", &authorization)];
        let call = ApiCall::parse(headers.map(|(name, value)| (name, value.as_bytes()))).unwrap();
        matches!(authorize(&policy, &call, test.clock.now(), &PureRust), Decision::Permit(_))
    };
    let answer = asked(&test, &id, 1, &change()).await;
    let location = answer.headers["location"].clone();
    assert_eq!(location, format!("http://portvakt.test{CHANGES}/{}", correlation(1)));
    let request = answer.expect(201);
    let mut expected = change();
    let confirm = format!(
        "http://portvakt.test/accessmanagement/ui/systemuser/changerequest?id={}&DONTCHOOSEREPORTEE=true",
        correlation(1)
    );
    for (member, value) in [
        ("id", json!(correlation(1))),
        ("externalRef", json!("310247049")),
        ("systemId", json!("310247030_smartcloud")),
        ("systemUserId", json!(id)),
        ("partyOrgNo", json!("310247049")),
        ("status", json!("New")),
        ("confirmUrl", json!(confirm)),
        ("created", json!(test.clock.text())),
        ("timedOut", json!(false)),
    ] {
        expected[member] = value;
    }
    assert_eq!(request, expected);
    assert!(is_permitted("/vat/310247049/returns").await);
    assert_eq!(held(&test, &id).await.0, json!([right("vat")]));

    assert_eq!(decided(&test, 1, "/approve").await.expect(200), json!(true));
    assert_eq!(held(&test, &id).await, (json!([right("annual-accounts")]), packages(&[PAYROLL])));
    assert!(!is_permitted("/vat/310247049/returns").await);
    assert!(is_permitted("/annual-accounts/310247049").await);
    let read = test.get(&format!("{CHANGES}/vendor/{}", correlation(1)), &test.vendor()).await.expect(200);
    assert_eq!(read["status"], "Accepted");
}

#[tokio::test]
async fn the_correlation_id_makes_it_one_request() {
    let (test, id) = with_system_user().await;
    let first = asked(&test, &id, 1, &change()).await.expect(201);
    let revision = test.state.store.revision().await.unwrap();
    assert_eq!(asked(&test, &id, 1, &change()).await.expect(200), first);
    assert_eq!(test.state.store.revision().await.unwrap(), revision);
    // Another system user's is not shown.
    let mut second = story::request();
    second["externalRef"] = json!("second");
    let second = test.post(story::REQUESTS, &test.vendor(), &second).await.expect(201);
    let second = second["id"].as_str().unwrap();
    let approve = format!("{}/approve", story::request_of_hansen(second));
    test.send("POST", &approve, &test.administrator_of_hansen(), None).await.expect(200);
    asked(&test, second, 1, &change()).await.expect_code(409, "AUTH-00061");
    // One that is decided or withdrawn is not asked again under its name.
    decided(&test, 1, "/reject").await.expect(200);
    asked(&test, &id, 1, &change()).await.expect_code(409, "AUTH-00061");
    asked(&test, &id, 2, &change()).await.expect(201);
    test.delete(&format!("{CHANGES}/vendor/{}", correlation(2)), &test.vendor()).await.expect(202);
    asked(&test, &id, 2, &change()).await.expect_code(409, "AUTH-00061");

    let (vendor, body, path) = (test.vendor(), change(), to(&id, 3));
    let (one, two) = tokio::join!(test.post(&path, &vendor, &body), test.post(&path, &vendor, &body));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!((statuses, &one.json["id"]), ([200, 201], &two.json["id"]));
}

#[tokio::test]
async fn a_change_of_nothing_is_answered_and_not_stored() {
    let (test, id) = with_system_user().await;
    let revision = test.state.store.revision().await.unwrap();
    let answer = asked(&test, &id, 1, &json!({})).await.expect(200);
    assert_eq!((&answer["status"], &answer["confirmUrl"]), (&json!("NoChangeNeeded"), &json!("")));
    assert_eq!((&answer["id"], &answer["requiredRights"]), (&json!(correlation(1)), &json!([])));
    assert_eq!(test.state.store.revision().await.unwrap(), revision);
    test.get(&format!("{CHANGES}/vendor/{}", correlation(1)), &test.vendor()).await.expect_code(404, "AUTH-00010");
    // Also under the name of another change.
    asked(&test, &id, 1, &change()).await.expect(201);
    assert_eq!(asked(&test, &id, 1, &json!({})).await.expect(200)["status"], "NoChangeNeeded");
}

#[tokio::test]
async fn what_is_so_already_may_be_asked_and_approved() {
    let (test, id) = with_system_user().await;
    let body = json!({ "requiredRights": [right("vat")], "unwantedRights": [right("annual-accounts")] });
    let before = held(&test, &id).await;
    for number in [1, 2] {
        asked(&test, &id, number, &body).await.expect(201);
        decided(&test, number, "/approve").await.expect(200);
        assert_eq!(held(&test, &id).await, before);
    }
}

#[tokio::test]
async fn one_action_is_taken_away_or_nothing_at_all() {
    let (test, id) = with_system_user().await;
    let mut read = right("vat");
    read["action"] = json!("read");
    asked(&test, &id, 1, &json!({ "unwantedRights": [read] })).await.expect(201);
    let before = held(&test, &id).await;
    test.spoil_policy("vat").await;
    let refused = decided(&test, 1, "/approve").await;
    assert_eq!((refused.json["resource"].as_str(), refused.json["line"].as_u64()), (Some("vat"), Some(1)));
    refused.expect_code(409, "policy_unreadable");
    assert_eq!(held(&test, &id).await, before);
}

#[tokio::test]
async fn verifying_says_what_would_change_and_changes_nothing() {
    let (test, id) = with_system_user().await;
    let revision = test.state.store.revision().await.unwrap();
    let path = format!("{CHANGES}/vendor/verify?system-user-id={id}");
    let verified = async |body: Value| test.post(&path, &test.vendor(), &body).await.expect(200);
    let mut body = change();
    body["requiredRights"] = json!([right("annual-accounts"), right("annual-accounts")]);
    body["requiredAccessPackages"] = packages(&[PAYROLL]);
    let new = verified(body).await;
    assert_eq!((&new["status"], &new["confirmUrl"]), (&json!("New"), &json!("")));
    assert_eq!(new["requiredRights"], json!([right("annual-accounts")]));
    assert_eq!(new["unwantedAccessPackages"], packages(&[story::PACKAGE]));
    let same = json!({
        "requiredRights": [right("vat")], "requiredAccessPackages": packages(&[story::PACKAGE]),
        "unwantedRights": [right("annual-accounts")], "unwantedAccessPackages": packages(&[PAYROLL]),
    });
    let unchanged = verified(same).await;
    assert_eq!((&unchanged["status"], &unchanged["requiredRights"]), (&json!("NoChangeNeeded"), &json!([])));
    let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
    test.post(&path, &foreign, &change()).await.expect_code(401, "vendor_not_owner_of_requested");
    assert_eq!(test.state.store.revision().await.unwrap(), revision);
}

#[tokio::test]
async fn the_system_user_is_named_by_id_or_by_system_owner_and_reference() {
    let (test, id) = with_system_user().await;
    let path = |query: &str| format!("{CHANGES}/vendor?correlation-id={}&{query}", correlation(1));
    let by_reference = path("system-id=310247030_smartcloud&orgno=310247049&external-ref=310247049");
    let request = test.post(&by_reference, &test.vendor(), &change()).await.expect(201);
    assert_eq!(request["systemUserId"], id);
    for (query, status, code) in [
        ("system-id=310247030_smartcloud&orgno=310247049", 200, None),
        ("system-id=310247030_smartcloud&orgno=310247057", 404, Some("AUTH-00015")),
        ("system-id=310247030_other&orgno=310247049", 404, Some("AUTH-00015")),
        ("system-id=310247030_smartcloud", 400, Some("query_invalid")),
        ("", 400, Some("query_invalid")),
        ("system-user-id=7", 400, Some("query_invalid")),
        ("system-user-id=00000000-0000-4000-8000-000000000000", 404, Some("AUTH-00015")),
    ] {
        let answer = test.post(&path(query), &test.vendor(), &change()).await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (status, code), "{query}");
    }
    let unknown = format!("{CHANGES}/vendor?correlation-id={0}&system-user-id={0}", correlation(9));
    test.post(&unknown, &test.vendor(), &json!({})).await.expect_code(404, "AUTH-00015");
    for (correlation, text) in [
        ("", "Missing or invalid correlation-id."),
        ("7", "Missing or invalid correlation-id."),
        ("00000000-0000-0000-0000-000000000000", "Missing or invalid correlation-id."),
        (id.as_str(), "The correlation-id should not be the same as the system-user-id."),
    ] {
        let path = format!("{CHANGES}/vendor?correlation-id={correlation}&system-user-id={id}");
        let answer = test.post(&path, &test.vendor(), &change()).await;
        assert!(answer.status == 400 && answer.text().starts_with(text), "{correlation}: {}", answer.text());
    }
}

#[tokio::test]
async fn every_wrong_change_has_its_code_and_nothing_is_stored() {
    let (test, id) = with_system_user().await;
    let revision = test.state.store.revision().await.unwrap();
    let of_vat = |action: &str| {
        let mut right = right("vat");
        right["action"] = json!(action);
        right
    };
    for (member, value, code) in [
        ("requiredRights", json!([right("internal")]), "AUTH-00001"),
        ("requiredRights", json!([of_vat("fly")]), "AUTH-00001"),
        ("requiredRights", json!([{ "resource": [] }]), "AUTH-00001"),
        ("unwantedRights", json!([{ "resource": [] }]), "AUTH-00001"),
        ("requiredRights", json!([of_vat("read")]), "field_invalid"),
        ("requiredAccessPackages", packages(&["urn:altinn:accesspackage:skatt-naering"]), "AUTH-00063"),
        ("unwantedAccessPackages", packages(&["skatt"]), "AUTH-00063"),
        ("requiredAccessPackages", packages(&[story::PACKAGE]), "field_invalid"),
        ("unwantedRights", json!(vec![right("vat"); 1001]), "field_invalid"),
        ("redirectUrl", json!("https://evil.no/done"), "AUTH-00021"),
        ("requiredRights", json!("vat"), "json_invalid"),
    ] {
        let mut body = change();
        body[member] = value;
        asked(&test, &id, 1, &body).await.expect_code(400, code);
    }
    assert_eq!(test.state.store.revision().await.unwrap(), revision);
}

#[tokio::test]
async fn all_of_it_is_approved_or_nothing() {
    let (test, id) = with_system_user().await;
    asked(&test, &id, 1, &change()).await.expect(201);
    let before = held(&test, &id).await;
    let resource = json!({ "title": { "nb": "a", "nn": "a", "en": "a" }, "delegable": false });
    test.put(&story::resource("annual-accounts"), &test.resource_owner(), &resource).await.expect(200);
    decided(&test, 1, "/approve").await.expect_code(403, "AUTH-00070");
    assert_eq!(held(&test, &id).await, before);
    // What the system may no longer ask for is not approved either.
    test.put(&format!("{}/310247030_smartcloud/rights", story::SYSTEMS), &test.vendor(), &json!([])).await.expect(200);
    decided(&test, 1, "/approve").await.expect_code(400, "AUTH-00001");
    assert_eq!(held(&test, &id).await, before);
    let read = test.get(&of_hansen(1, ""), &test.administrator_of_hansen()).await.expect(200);
    assert_eq!(read["status"], "New");
}

#[tokio::test]
async fn a_change_request_is_decided_once() {
    let (test, id) = with_system_user().await;
    asked(&test, &id, 1, &change()).await.expect(201);
    let hansen = test.administrator_of_hansen();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (test, hansen) = (test.clone(), hansen.clone());
        let path = of_hansen(1, if number % 2 == 0 { "/approve" } else { "/reject" });
        calls.spawn(async move { test.send("POST", &path, &hansen, None).await.status });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    for step in ["/approve", "/reject"] {
        decided(&test, 1, step).await.expect_code(409, "AUTH-00013");
    }
}

#[tokio::test]
async fn each_sees_and_decides_its_own_only() {
    let (test, id) = with_system_user().await;
    asked(&test, &id, 1, &change()).await.expect(201);
    let revision = test.state.store.revision().await.unwrap();
    let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
    let (hansen, bakeri) = (test.administrator_of_hansen(), test.administrator_of_bakeri());
    let of_vendor = format!("{CHANGES}/vendor/{}", correlation(1));
    let by_reference = format!("{CHANGES}/vendor/byexternalref/310247030_smartcloud/310247049/310247049");
    let by_system = format!("{CHANGES}/vendor/bysystem/310247030_smartcloud");
    let of_bakeri = |step: &str| of_hansen(1, step).replace("50000001", "50000002");
    let by_id = format!("{CHANGES}/{}", correlation(1));
    for (method, path, token, status, code) in [
        ("GET", of_vendor.clone(), &foreign, 404, "AUTH-00010"),
        ("DELETE", of_vendor.clone(), &foreign, 404, "AUTH-00010"),
        ("GET", by_reference.clone(), &foreign, 404, "AUTH-00010"),
        ("GET", by_system.clone(), &foreign, 404, "AUTH-00011"),
        ("GET", of_hansen(1, ""), &bakeri, 403, "AUTH-00066"),
        ("POST", of_hansen(1, "/approve"), &bakeri, 403, "AUTH-00066"),
        ("POST", of_hansen(1, "/reject"), &bakeri, 403, "AUTH-00066"),
        ("GET", of_bakeri(""), &bakeri, 404, "AUTH-00010"),
        ("POST", of_bakeri("/approve"), &bakeri, 404, "AUTH-00010"),
        ("POST", of_bakeri("/reject"), &bakeri, 404, "AUTH-00010"),
        ("GET", by_id.clone(), &bakeri, 404, "AUTH-00010"),
        ("GET", by_id.clone(), &foreign, 403, "insufficient_scope"),
        ("POST", of_hansen(1, "/approve"), &foreign, 403, "insufficient_scope"),
        ("GET", of_vendor.clone(), &hansen, 403, "insufficient_scope"),
    ] {
        test.send(method, &path, token, None).await.expect_code(status, code);
    }
    test.post(&to(&id, 2), &foreign, &change()).await.expect_code(401, "vendor_not_owner_of_requested");
    assert_eq!(test.state.store.revision().await.unwrap(), revision);

    let own = test.get(&of_vendor, &test.vendor()).await.expect(200);
    for (path, token) in [(&by_reference, &test.vendor()), (&of_hansen(1, ""), &hansen)] {
        assert_eq!(test.get(path, token).await.expect(200), own);
    }
    let of_person = test.get(&by_id, &hansen).await.expect(200);
    assert_eq!((&of_person["partyId"], &of_person["requiredRights"]), (&json!(50_000_001), &own["requiredRights"]));
    assert_eq!(test.get(&by_system, &test.vendor()).await.expect(200), json!({ "links": {}, "data": [own] }));
}

#[tokio::test]
async fn by_reference_comes_the_newest() {
    let (test, id) = with_system_user().await;
    let path = format!("{CHANGES}/vendor/byexternalref/310247030_smartcloud/310247049/310247049");
    for number in [3, 1, 2] {
        asked(&test, &id, number, &change()).await.expect(201);
        test.clock.advance_seconds(1);
        assert_eq!(test.get(&path, &test.vendor()).await.expect(200)["id"], correlation(number));
    }
    test.delete(&format!("{CHANGES}/vendor/{}", correlation(2)), &test.vendor()).await.expect(202);
    assert_eq!(test.get(&path, &test.vendor()).await.expect(200)["id"], correlation(1));
}

#[tokio::test]
async fn what_was_asked_of_a_system_user_ends_with_it() {
    let (test, id) = with_system_user().await;
    asked(&test, &id, 1, &change()).await.expect(201);
    let hansen = test.administrator_of_hansen();
    test.delete(&format!("{}/{id}", story::system_users_of_hansen()), &hansen).await.expect(202);
    decided(&test, 1, "/approve").await.expect_code(404, "AUTH-00010");
    asked(&test, &id, 2, &change()).await.expect_code(404, "AUTH-00015");
}

#[tokio::test]
async fn an_accepted_one_is_not_withdrawn_and_an_old_one_times_out() {
    let (test, id) = with_system_user().await;
    asked(&test, &id, 1, &change()).await.expect(201);
    decided(&test, 1, "/approve").await.expect(200);
    let path = |number| format!("{CHANGES}/vendor/{}", correlation(number));
    test.delete(&path(1), &test.vendor()).await.expect_code(409, "AUTH-00013");

    asked(&test, &id, 2, &change()).await.expect(201);
    test.clock.advance_seconds(LIFETIME_DAYS * 86_400 - 1);
    assert_eq!(super::expire(&test.state, 100).await.unwrap(), 0);
    test.clock.advance_seconds(1);
    let old = test.get(&path(2), &test.vendor()).await.expect(200);
    assert_eq!((&old["status"], &old["timedOut"]), (&json!("Timedout"), &json!(true)));
    decided(&test, 2, "/approve").await.expect_code(409, "AUTH-00013");
    asked(&test, &id, 2, &change()).await.expect_code(409, "AUTH-00061");
    let revision = test.state.store.revision().await.unwrap();
    assert_eq!(super::expire(&test.state, 100).await.unwrap(), 1);
    assert_eq!(super::expire(&test.state, 100).await.unwrap(), 0);
    assert_eq!(test.state.store.revision().await.unwrap().as_u64(), revision.as_u64() + 1);
}

#[tokio::test]
async fn agent_system_users_are_not_changed_this_way() {
    let test = TestState::with_agent_system().await;
    let id = test.agent_request().await;
    test.approve_agent(&id).await;
    asked(&test, &id, 1, &change()).await.expect_code(404, "AUTH-00015");
}
