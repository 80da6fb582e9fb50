//! Two thousand clients: every list has each of them exactly once, also while others come.

use std::collections::BTreeSet;

use serde_json::json;

use super::delegations;
use crate::test_state::{TestState, agents};

const COUNT: u32 = 2000;

#[tokio::test]
async fn two_thousand_clients_are_in_every_list_exactly_once() {
    let (test, agent) = TestState::with_agent().await;
    // Not accountants of Hansen and the bakery any more: only those that are counted.
    test.put(
        "/portvakt/v1/parties",
        &test.operator(),
        &json!({ "parties": crate::test_state::story::parties()["parties"] }),
    )
    .await
    .expect(200);
    test.register_clients(0, COUNT, "regnskapsforer").await;
    test.register_clients(COUNT, 100, "revisor").await;
    let expected: BTreeSet<_> = agents::organizations(0, COUNT).into_iter().collect();
    let all_once = |found: Vec<String>| {
        let distinct: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!((found.len(), &distinct), (COUNT as usize, &expected));
    };
    all_once(test.clients_of("clients/available", &agent).await);
    let user = policies::id::SystemUserId::parse(&agent).unwrap();
    test.add_many_for_test(user, &expected).await;
    all_once(test.clients_of("clients", &agent).await);
    let names = |list: &serde_json::Value, member: &str| {
        list.as_array().unwrap().iter().map(|one| one[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    all_once(names(&delegations(&test, &agent).await, "customerOrganizationNumber"));
    let possible =
        format!("/authentication/api/v1/systemuser/agent/50000003/clients?packages={}", agents::WITHOUT_SIGNING);
    all_once(names(&test.get(&possible, &test.accountant()).await.expect(200), "organizationIdentifier"));
}

#[tokio::test]
async fn who_comes_meanwhile_moves_nobody() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 300, "regnskapsforer").await;
    let (even, odd): (Vec<_>, Vec<_>) =
        agents::organizations(0, 300).into_iter().enumerate().partition(|(position, _)| position % 2 == 0);
    let even: BTreeSet<_> = even.into_iter().map(|(_, number)| number).collect();
    let user = policies::id::SystemUserId::parse(&agent).unwrap();
    test.add_many_for_test(user, &even).await;
    let mut path = format!("{}/clients?agent={agent}", agents::THROUGH_VENDOR);
    let mut odd = odd.into_iter().rev().map(|(position, _)| 51_000_000 + u32::try_from(position).unwrap());
    let mut seen = Vec::new();
    loop {
        let page = test.get(&path, &test.accountant_through_vendor()).await.expect(200);
        let data = page["data"].as_array().unwrap();
        seen.extend(data.iter().map(|client| client["clientOrganizationNumber"].as_str().unwrap().to_owned()));
        for party in odd.by_ref().take(40) {
            test.add_client(&agent, party).await.expect(200);
        }
        let Some(next) = page["links"]["next"].as_str() else { break };
        path = next.strip_prefix("http://portvakt.test").unwrap().to_owned();
    }
    let distinct: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "nobody twice");
    assert!(distinct.is_superset(&even), "nobody left out who was there from the beginning");
    assert!(distinct.len() > even.len());
}
