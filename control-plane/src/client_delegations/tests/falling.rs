//! When a relation ends, what was passed on along it falls: in the same change, at the gateways, and in the change log.

use serde_json::{Value, json};

use super::{ACCOUNTANT, HANSEN, acts_for, delegations};
use crate::test_state::{TestState, agents, story};

const PARTIES: &str = "/portvakt/v1/parties";
const EVENTS: &str = "/portvakt/v1/parties/events";
const UNIT: u32 = 50_000_009;

/// An agent that acts for Hansen, and a gateway that knows it.
async fn with_client() -> (TestState, String, String) {
    let (test, agent) = TestState::with_agent().await;
    let policy = story::policy("annual-accounts", &["read"], &[agents::WITHOUT_SIGNING]);
    let path = format!("{}/policy", story::resource("annual-accounts"));
    test.put_xml(&path, &test.resource_owner(), &policy).await.expect(200);
    test.add_client(&agent, HANSEN).await.expect(200);
    let gateway = test.gateway().await;
    assert!(acts_for(&test, &gateway, &agent, "310247049").await);
    (test, agent, gateway)
}

async fn fallen(test: &TestState) -> Value {
    let mut connection = test.state.store.read().await.unwrap();
    let last = "SELECT body FROM change_log ORDER BY revision DESC LIMIT 1";
    let body: String = sqlx::query_scalar(last).fetch_one(&mut *connection).await.unwrap();
    serde_json::from_str::<Value>(&body).unwrap()["fallen"].clone()
}

/// Hansen is no client any more, and the last change says why.
async fn assert_fallen(test: &TestState, agent: &str, gateway: &str, because: &str) {
    assert_eq!(delegations(test, agent).await, json!([]));
    let fallen = fallen(test).await;
    assert_eq!(fallen.as_array().map(Vec::len), Some(1), "{fallen}");
    assert_eq!(
        (&fallen[0]["systemUser"], &fallen[0]["client"], &fallen[0]["provider"], &fallen[0]["because"]),
        (&json!(agent), &json!("310247049"), &json!(agents::ACCOUNTANT), &json!(because))
    );
    assert!(!acts_for(test, gateway, agent, "310247049").await);
}

#[tokio::test]
async fn with_an_import_that_has_the_relation_no_longer() {
    let (test, agent, gateway) = with_client().await;
    let hansen = story::parties()["parties"][0].clone();
    test.put(PARTIES, &test.operator(), &json!({ "parties": [hansen] })).await.expect(200);
    assert_fallen(&test, &agent, &gateway, "relation_ended").await;
    assert_eq!(fallen(&test).await[0]["lost"], json!([agents::WITHOUT_SIGNING]));
}

#[tokio::test]
async fn with_an_event_and_it_comes_back_by_nobodys_doing() {
    let (test, agent, gateway) = with_client().await;
    let relation = agents::relation("310247049", "regnskapsforer");
    let ended = json!({ "events": [{ "sequence": 1, "relationRemoved": relation }] });
    test.post(EVENTS, &test.operator(), &ended).await.expect(200);
    assert_fallen(&test, &agent, &gateway, "relation_ended").await;
    let again = json!({ "events": [{ "sequence": 2, "relationAdded": relation }] });
    test.post(EVENTS, &test.operator(), &again).await.expect(200);
    assert_eq!(delegations(&test, &agent).await, json!([]));
    test.add_client(&agent, HANSEN).await.expect(200);
}

#[tokio::test]
async fn not_when_the_relation_ends_and_begins_in_one_change() {
    let (test, agent, gateway) = with_client().await;
    let relation = agents::relation("310247049", "regnskapsforer");
    let events = json!({ "events": [
        { "sequence": 1, "relationRemoved": relation }, { "sequence": 2, "relationAdded": relation },
    ]});
    test.post(EVENTS, &test.operator(), &events).await.expect(200);
    assert_eq!(fallen(&test).await, json!([]));
    assert!(acts_for(&test, &gateway, &agent, "310247049").await);
}

#[tokio::test]
async fn with_a_change_of_form_that_takes_a_package() {
    let (test, _) = TestState::with_agent().await;
    let agent = test.agent_for("housing", &[agents::HOUSING]).await;
    let mut hansen = story::parties()["parties"][0].clone();
    hansen["organizationForm"] = json!("BRL");
    let relation = agents::relation("310247049", "forretningsforer");
    let mut body = json!({ "parties": [hansen], "relations": [relation] });
    test.put(PARTIES, &test.operator(), &body).await.expect(200);
    test.add_client(&agent, HANSEN).await.expect(200);
    body["parties"][0]["organizationForm"] = json!("AS");
    test.put(PARTIES, &test.operator(), &body).await.expect(200);
    assert_eq!(delegations(&test, &agent).await, json!([]));
    assert_eq!(fallen(&test).await[0]["left"], json!([{ "role": "forretningsforer", "from": "310247049" }]));
}

#[tokio::test]
async fn with_an_organisation_that_is_struck_off() {
    let (test, agent, gateway) = with_client().await;
    let mut hansen = story::parties()["parties"][0].clone();
    hansen["struckOff"] = json!(true);
    let events = json!({ "events": [{ "sequence": 1, "party": hansen }] });
    test.post(EVENTS, &test.operator(), &events).await.expect(200);
    assert_fallen(&test, &agent, &gateway, "client_struck_off").await;
    // Nobody administers it any more, and nobody asks it for anything.
    let own = story::system_users_of_hansen();
    assert_eq!(test.get(&own, &test.administrator_of_hansen()).await.status, 403);
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect_code(400, "AUTH-00000");
    test.add_client(&agent, HANSEN).await.expect_code(400, "AUTH-00079");
}

#[tokio::test]
async fn with_the_owner_itself() {
    let (test, agent, gateway) = with_client().await;
    let mut accountants = agents::parties()["parties"][0].clone();
    accountants["struckOff"] = json!(true);
    test.put(PARTIES, &test.operator(), &json!({ "parties": [accountants] })).await.expect(200);
    let fallen = fallen(&test).await;
    assert_eq!((&fallen[0]["systemUser"], &fallen[0]["because"]), (&json!(agent), &json!("owner_struck_off")));
    assert!(!acts_for(&test, &gateway, &agent, "310247049").await);
    let path = format!("{}/{ACCOUNTANT}", "/authentication/api/v1/systemuser/agent");
    assert_eq!(test.get(&path, &test.accountant()).await.status, 403);
}

#[tokio::test]
async fn with_a_main_unit_that_is_another_now() {
    let (test, agent, gateway) = with_client().await;
    let unit = |main: Value| {
        json!({ "partyId": UNIT, "partyUuid": agents::uuid(UNIT), "organizationNumber": "310247065",
                "name": "Hansen avd. Nord", "mainUnit": main })
    };
    test.put(PARTIES, &test.operator(), &json!({ "parties": [unit(json!("310247049"))] })).await.expect(200);
    // What is held for the main unit counts for it, and it can be a client by itself.
    assert!(acts_for(&test, &gateway, &agent, "310247065").await);
    let own = test.agent_for("north", &[agents::WITHOUT_SIGNING]).await;
    test.add_client(&own, UNIT).await.expect(200);
    assert!(acts_for(&test, &gateway, &own, "310247065").await);
    assert!(!acts_for(&test, &gateway, &own, "310247049").await);
    test.put(PARTIES, &test.operator(), &json!({ "parties": [unit(Value::Null)] })).await.expect(200);
    assert_eq!(delegations(&test, &own).await, json!([]));
    assert!(!acts_for(&test, &gateway, &own, "310247065").await);
    assert!(!acts_for(&test, &gateway, &agent, "310247065").await);
    assert!(acts_for(&test, &gateway, &agent, "310247049").await);
}

#[tokio::test]
async fn with_a_relation_of_the_main_unit() {
    let (test, agent) = TestState::with_agent().await;
    let unit = json!({ "partyId": UNIT, "partyUuid": agents::uuid(UNIT), "organizationNumber": "310247065",
                       "name": "Hansen avd. Nord", "mainUnit": "310247049" });
    test.put(PARTIES, &test.operator(), &json!({ "parties": [unit] })).await.expect(200);
    test.add_client(&agent, UNIT).await.expect(200);
    let relation = agents::relation("310247049", "regnskapsforer");
    let ended = json!({ "events": [{ "sequence": 1, "relationRemoved": relation }] });
    test.post(EVENTS, &test.operator(), &ended).await.expect(200);
    assert_eq!(delegations(&test, &agent).await, json!([]));
    assert_eq!(fallen(&test).await[0]["client"], "310247065");
}

#[tokio::test]
async fn and_what_another_relation_still_carries_stays() {
    let (test, agent, gateway) = with_client().await;
    let auditor = agents::relation("310247049", "revisor");
    let mut events = vec![json!({ "sequence": 1, "relationAdded": auditor })];
    events.push(json!({ "sequence": 2, "relationRemoved": auditor }));
    test.post(EVENTS, &test.operator(), &json!({ "events": events })).await.expect(200);
    assert_eq!(fallen(&test).await, json!([]));
    assert!(acts_for(&test, &gateway, &agent, "310247049").await);
}
