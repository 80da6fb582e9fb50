//! Many clients at once: done in pieces, told one by one, and not lost when the process ends.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::run::{CLIENTS_OF_PIECE, keep_going, piece};
use crate::test_state::{Answer, TestState, agents};

fn jobs(agent: &str) -> String {
    format!("/portvakt/v1/parties/50000003/agents/{agent}/clients/jobs")
}

async fn create(test: &TestState, agent: &str, body: &Value) -> Answer {
    test.post(&jobs(agent), &test.accountant(), body).await
}

/// Lets a job be made and finished; gives what became of it.
async fn finished(test: &TestState, agent: &str, body: &Value) -> Value {
    let answer = create(test, agent, body).await;
    assert_eq!(answer.status, 202, "{}", answer.json);
    while piece(&test.state).await.unwrap() {}
    job(test, &answer).await
}

async fn job(test: &TestState, answer: &Answer) -> Value {
    let path = answer.headers["location"].strip_prefix("http://portvakt.test").unwrap();
    test.get(path, &test.accountant()).await.expect(200)
}

fn uuids(positions: std::ops::Range<u32>) -> Vec<String> {
    positions.map(|position| agents::uuid(51_000_000 + position)).collect()
}

#[tokio::test]
async fn all_that_can_be_added_are() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 500, "regnskapsforer").await;
    test.register_clients(500, 20, "revisor").await;
    let answer = create(&test, &agent, &json!({ "action": "add" })).await;
    // The two of the story with them.
    assert_eq!((answer.status, &answer.json["total"], &answer.json["state"]), (202, &json!(502), &json!("running")));
    assert!(piece(&test.state).await.unwrap());
    let halfway = job(&test, &answer).await;
    assert_eq!((&halfway["done"], &halfway["finishedAt"]), (&json!(CLIENTS_OF_PIECE), &Value::Null));
    while piece(&test.state).await.unwrap() {}
    let done = job(&test, &answer).await;
    assert_eq!((&done["state"], &done["done"], &done["failed"]), (&json!("finished"), &json!(502), &json!(0)));
    let clients: BTreeSet<_> = test.clients_of("clients", &agent).await.into_iter().collect();
    assert_eq!(clients.len(), 502);
    assert!(agents::organizations(0, 500).iter().all(|number| clients.contains(number)));
    // Again, nothing is new.
    let again = finished(&test, &agent, &json!({ "action": "add" })).await;
    assert_eq!((&again["done"], &again["failed"]), (&json!(502), &json!(0)));
    let removed = finished(&test, &agent, &json!({ "action": "remove" })).await;
    assert_eq!(removed["done"], 502);
    assert!(test.clients_of("clients", &agent).await.is_empty());
    assert_eq!(finished(&test, &agent, &json!({ "action": "remove" })).await["total"], 0);
}

#[tokio::test]
async fn what_fails_is_told_with_its_reason_and_the_rest_is_done() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 3, "regnskapsforer").await;
    test.register_clients(3, 1, "revisor").await;
    let mut clients = uuids(0..5);
    clients.push(clients[0].clone());
    let done = finished(&test, &agent, &json!({ "action": "add", "clients": clients })).await;
    assert_eq!((&done["total"], &done["done"], &done["failed"]), (&json!(5), &json!(3), &json!(2)));
    assert_eq!(
        done["failures"],
        json!([
            { "client": clients[3], "code": "AUTH-00080" },
            { "client": clients[4], "code": "AUTH-00079" },
        ])
    );
    let removed = finished(&test, &agent, &json!({ "action": "remove", "clients": [clients[0], clients[3]] })).await;
    assert_eq!(removed["failures"], json!([{ "client": clients[3], "code": "AUTH-00038" }]));
    assert_eq!(test.clients_of("clients", &agent).await.len(), 2);
}

#[tokio::test]
async fn a_job_goes_on_after_a_restart() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 450, "regnskapsforer").await;
    let answer = create(&test, &agent, &json!({ "action": "add", "clients": uuids(0..450) })).await;
    assert!(piece(&test.state).await.unwrap());
    let test = test.restarted().await;
    assert_eq!(job(&test, &answer).await["done"], CLIENTS_OF_PIECE);
    while piece(&test.state).await.unwrap() {}
    assert_eq!(job(&test, &answer).await["done"], 450);
    assert_eq!(test.clients_of("clients", &agent).await.len(), 450);
}

#[tokio::test]
async fn a_stop_waits_for_a_piece_and_not_for_the_job() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 450, "regnskapsforer").await;
    let answer = create(&test, &agent, &json!({ "action": "add", "clients": uuids(0..450) })).await;
    test.stop();
    keep_going(test.state.clone()).await;
    assert_eq!(job(&test.restarted().await, &answer).await["done"], CLIENTS_OF_PIECE);
}

#[tokio::test]
async fn two_who_work_at_once_do_nothing_twice() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 450, "regnskapsforer").await;
    let answer = create(&test, &agent, &json!({ "action": "add", "clients": uuids(0..450) })).await;
    let work = async || while piece(&test.state).await.unwrap() {};
    tokio::join!(work(), work());
    let done = job(&test, &answer).await;
    assert_eq!((&done["done"], &done["failed"], &done["state"]), (&json!(450), &json!(0), &json!("finished")));
}

#[tokio::test]
async fn clients_move_from_one_agent_to_another() {
    let (test, from) = TestState::with_agent().await;
    test.register_clients(0, 10, "regnskapsforer").await;
    finished(&test, &from, &json!({ "action": "add", "clients": uuids(0..10) })).await;
    let own = format!("{}/self", agents::agents(&from));
    test.send("POST", &own, &test.accountant(), None).await.expect(200);
    let to = test.agent_for("to", &[agents::PAYROLL]).await;
    let some = json!({ "action": "move", "from": from, "clients": uuids(0..3) });
    assert_eq!(finished(&test, &to, &some).await["done"], 3);
    assert_eq!((test.clients_of("clients", &from).await.len(), test.clients_of("clients", &to).await.len()), (8, 3));
    // They are not there any more.
    assert_eq!(finished(&test, &to, &some).await["failed"], 3);
    // Who cannot be a client of the other one stays where it is.
    let housing = test.agent_for("housing", &[agents::HOUSING]).await;
    let refused = finished(&test, &housing, &json!({ "action": "move", "from": from, "clients": uuids(3..4) })).await;
    assert_eq!(refused["failures"][0]["code"], "AUTH-00080");
    assert_eq!(finished(&test, &to, &json!({ "action": "move", "from": from })).await["done"], 8);
    assert_eq!((test.clients_of("clients", &from).await.len(), test.clients_of("clients", &to).await.len()), (0, 11));
}

#[tokio::test]
async fn what_is_withdrawn_meanwhile_fails() {
    let (test, agent) = TestState::with_agent().await;
    test.register_clients(0, 3, "regnskapsforer").await;
    let answer = create(&test, &agent, &json!({ "action": "add", "clients": uuids(0..3) })).await;
    test.delete(&agents::agents(&agent), &test.accountant()).await.expect(200);
    while piece(&test.state).await.unwrap() {}
    let path = answer.headers["location"].strip_prefix("http://portvakt.test").unwrap();
    test.get(path, &test.accountant()).await.expect_code(404, "AUTH-00015");
    assert!(!piece(&test.state).await.unwrap());
}

#[tokio::test]
async fn wrong_jobs_are_refused() {
    let (test, agent) = TestState::with_agent().await;
    let before = test.state.store.revision().await.unwrap();
    let many: Vec<_> = uuids(0..20_001);
    for (body, code) in [
        (json!({ "action": "fly" }), "json_invalid"),
        (json!({}), "json_invalid"),
        (json!({ "action": "add", "clients": ["x"] }), "json_invalid"),
        (json!({ "action": "add", "from": agent }), "field_invalid"),
        (json!({ "action": "move" }), "field_invalid"),
        (json!({ "action": "move", "from": agent }), "field_invalid"),
        (json!({ "action": "add", "clients": many }), "field_invalid"),
    ] {
        create(&test, &agent, &body).await.expect_code(400, code);
    }
    let unknown = json!({ "action": "move", "from": agents::uuid(9) });
    create(&test, &agent, &unknown).await.expect_code(404, "AUTH-00015");
    let foreign = test.post(&jobs(&agent), &test.administrator_of_hansen(), &json!({ "action": "add" })).await;
    foreign.expect_code(403, "AUTH-00044");
    let through_own = jobs(&agent).replace("50000003", "50000001");
    let foreign = test.post(&through_own, &test.administrator_of_hansen(), &json!({ "action": "add" })).await;
    foreign.expect_code(404, "AUTH-00015");
    test.get(&format!("{}/{}", jobs(&agent), agents::uuid(9)), &test.accountant())
        .await
        .expect_code(404, "client_job_unknown");
    assert_eq!(test.state.store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn many_failures_come_in_pages() {
    let (test, agent) = TestState::with_agent().await;
    let answer = create(&test, &agent, &json!({ "action": "add", "clients": uuids(0..1100) })).await;
    while piece(&test.state).await.unwrap() {}
    let mut path = answer.headers["location"].clone();
    let mut seen = Vec::new();
    loop {
        let page = test.get(path.strip_prefix("http://portvakt.test").unwrap(), &test.accountant()).await.expect(200);
        assert_eq!(page["failed"], 1100);
        let failures = page["failures"].as_array().unwrap();
        seen.extend(failures.iter().map(|failure| failure["client"].as_str().unwrap().to_owned()));
        let Some(next) = page["links"]["next"].as_str() else { break };
        path = next.to_owned();
    }
    assert_eq!(seen.len(), 1100);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), uuids(0..1100).into_iter().collect());
}
