//! What an agent holds for its clients changes in place.

use serde_json::{Value, json};

use super::{HANSEN, acts_for, delegations};
use crate::test_state::{Answer, TestState, agents, story};

async fn change(test: &TestState, agent: &str, packages: &[&str], drop_clients: bool) -> Answer {
    let path = format!("/portvakt/v1/parties/50000003/agents/{agent}/access-packages");
    let packages: Vec<_> = packages.iter().map(|urn| json!({ "urn": urn })).collect();
    let body = json!({ "accessPackages": packages, "dropClients": drop_clients });
    test.put(&path, &test.accountant(), &body).await
}

#[tokio::test]
async fn clients_that_carry_the_new_packages_stay() {
    let (test, agent) = TestState::with_agent().await;
    let policy = story::policy("annual-accounts", &["read"], &[agents::PAYROLL]);
    let path = format!("{}/policy", story::resource("annual-accounts"));
    test.put_xml(&path, &test.resource_owner(), &policy).await.expect(200);
    test.add_client(&agent, HANSEN).await.expect(200);
    let gateway = test.gateway().await;
    assert!(!acts_for(&test, &gateway, &agent, "310247049").await);
    let changed = change(&test, &agent, &[agents::PAYROLL], false).await.expect(200);
    assert_eq!(
        changed,
        json!({ "id": agent, "accessPackages": [{ "urn": agents::PAYROLL }], "clients": 1, "dropped": [] })
    );
    assert!(acts_for(&test, &gateway, &agent, "310247049").await);
    let before = test.state.store.revision().await.unwrap();
    change(&test, &agent, &[agents::PAYROLL], false).await.expect(200);
    assert_eq!(test.state.store.revision().await.unwrap(), before);
    let user = test.get(&agents::agents(&agent), &test.accountant()).await.expect(200);
    assert_eq!(user["accessPackages"], changed["accessPackages"]);
}

#[tokio::test]
async fn clients_that_do_not_are_in_the_way_or_dropped() {
    let (test, agent) = TestState::with_agent().await;
    test.add_client(&agent, HANSEN).await.expect(200);
    let both = [agents::WITHOUT_SIGNING, agents::HOUSING];
    let refused = change(&test, &agent, &both, false).await;
    assert_eq!(
        (&refused.json["clientCount"], &refused.json["clients"]),
        (
            &json!(1),
            &json!([{ "client": agents::uuid(HANSEN), "organizationNumber": "310247049", "missing": [agents::HOUSING] }])
        )
    );
    refused.expect_code(409, "clients_lack_packages");
    assert_eq!(delegations(&test, &agent).await.as_array().map(Vec::len), Some(1));
    let changed = change(&test, &agent, &both, true).await.expect(200);
    assert_eq!((&changed["clients"], &changed["dropped"]), (&json!(0), &json!(["310247049"])));
    assert_eq!(delegations(&test, &agent).await, json!([]));
}

#[tokio::test]
async fn only_packages_that_the_system_may_ask_for() {
    let (test, agent) = TestState::with_agent().await;
    for (packages, code) in [
        (&[][..], "AUTH-00058"),
        (&["urn:altinn:accesspackage:skatt-naering"], "AUTH-00063"),
        (&["urn:altinn:accesspackage:maskinporten-scopes"], "AUTH-00065"),
    ] {
        change(&test, &agent, packages, true).await.expect_code(400, code);
    }
    let path = format!("/portvakt/v1/parties/50000003/agents/{agent}/access-packages");
    let body: Value = json!({ "accessPackages": [{ "urn": agents::PAYROLL }] });
    test.put(&path, &test.administrator_of_hansen(), &body).await.expect_code(403, "AUTH-00066");
    let through_own = path.replace("50000003", "50000001");
    test.put(&through_own, &test.administrator_of_hansen(), &body).await.expect_code(404, "AUTH-00015");
}
