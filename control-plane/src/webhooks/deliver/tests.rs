use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::deliver_due;
use crate::state::Clock as _;
use crate::test_state::{TestState, story};
use crate::webhooks::signature::signature;

const WEBHOOKS: &str = "/portvakt/v1/webhooks";

/// What came to a vendor's server: headers and body of each call.
type Calls = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A vendor's server: answers with the statuses in turn, then with 204.
async fn server(statuses: &[u16]) -> (String, Calls) {
    let calls = Calls::default();
    let statuses = Arc::new(Mutex::new(statuses.to_vec()));
    let taken = calls.clone();
    let app = axum::Router::new().fallback(async move |State(()): State<()>, headers: HeaderMap, body: Bytes| {
        taken.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
        let mut statuses = statuses.lock().unwrap();
        let status = if statuses.is_empty() { 204 } else { statuses.remove(0) };
        (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")]).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, calls)
}

async fn registered(test: &TestState, url: &str) -> (String, String) {
    let created = test.post(WEBHOOKS, &test.vendor(), &json!({ "url": url })).await.expect(201);
    (created["id"].as_str().unwrap().to_owned(), created["secret"].as_str().unwrap().to_owned())
}

async fn only(test: &TestState) -> Value {
    test.get(WEBHOOKS, &test.vendor()).await.expect(200)[0].clone()
}

async fn deliver(test: &TestState) {
    while deliver_due(&test.state).await.unwrap() > 0 {}
}

#[tokio::test]
async fn events_arrive_in_order_and_signed() {
    let test = TestState::with_system().await.with_private_webhooks();
    let (url, calls) = server(&[]).await;
    let (_, secret) = registered(&test, &url).await;
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    test.approve().await;
    deliver(&test).await;
    let calls = calls.lock().unwrap().clone();
    let kinds: Vec<Value> =
        calls.iter().map(|(_, body)| serde_json::from_str::<Value>(body).unwrap()["type"].clone()).collect();
    assert_eq!(kinds, ["system_user_request.created", "system_user_request.accepted", "system_user.created"]);
    for (headers, body) in &calls {
        let text = |name: &str| headers[name].to_str().unwrap();
        let at: i64 = text("webhook-timestamp").parse().unwrap();
        let expected = signature(&secret, text("webhook-id"), at, body).unwrap();
        assert_eq!(text("webhook-signature"), expected);
        assert_eq!(text("content-type"), "application/json");
    }
    let last = serde_json::from_str::<Value>(&calls[2].1).unwrap()["id"].clone();
    assert_eq!((&only(&test).await["state"], &only(&test).await["delivered"]), (&json!("active"), &last));
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_after_a_pause_and_a_restart() {
    let test = TestState::with_system().await.with_private_webhooks();
    let (url, calls) = server(&[500, 302]).await;
    registered(&test, &url).await;
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    deliver(&test).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
    let failing = only(&test).await;
    assert_eq!((&failing["state"], &failing["lastError"]), (&json!("failing"), &json!("answered 500")));
    test.clock.advance_seconds(4);
    deliver(&test).await;
    assert_eq!(calls.lock().unwrap().len(), 1);

    let test = test.restarted().await.with_private_webhooks();
    test.clock.advance_seconds(1);
    deliver(&test).await;
    // A redirect is not followed.
    assert_eq!(only(&test).await["lastError"], "answered 302");
    test.clock.advance_seconds(30);
    deliver(&test).await;
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 3);
    assert!(
        calls.iter().all(|(headers, body)| headers["webhook-id"] == calls[0].0["webhook-id"] && *body == calls[0].1)
    );
    assert_eq!((&only(&test).await["state"], &only(&test).await["failingSince"]), (&json!("active"), &Value::Null));
}

#[tokio::test]
async fn a_webhook_that_fails_for_days_is_switched_off_until_it_is_enabled() {
    let test = TestState::with_request().await.with_private_webhooks();
    // Nothing listens on port 1.
    let (id, _) = registered(&test, "http://127.0.0.1:1/").await;
    test.approve().await;
    for _ in 0..40 {
        deliver(&test).await;
        test.clock.advance_seconds(21_600);
    }
    let disabled = only(&test).await;
    assert_eq!(disabled["state"], "disabled");
    assert!(disabled["lastError"].as_str().unwrap().starts_with("could not be reached"), "{disabled}");
    let path = format!("{WEBHOOKS}/{id}");
    let enabled = test.send("POST", &format!("{path}/enable"), &test.vendor(), None).await.expect(200);
    assert_eq!((&enabled["state"], &enabled["lastError"]), (&json!("active"), &Value::Null));
    assert_eq!(test.delete(&path, &test.vendor()).await.status, 204);
    test.delete(&path, &test.vendor()).await.expect_code(404, "webhook_unknown");
}

#[tokio::test]
async fn gone_is_gone() {
    let test = TestState::with_system().await.with_private_webhooks();
    let (url, calls) = server(&[410]).await;
    registered(&test, &url).await;
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    deliver(&test).await;
    test.clock.advance_seconds(86_400);
    deliver(&test).await;
    assert_eq!(only(&test).await["state"], "disabled");
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn addresses_of_our_own_network_are_refused_and_secrets_not_shown_again() {
    let test = TestState::with_system().await;
    for url in ["https://127.0.0.1/", "https://169.254.169.254/latest", "http://vendor.no/", "x", ""] {
        test.post(WEBHOOKS, &test.vendor(), &json!({ "url": url })).await.expect_code(400, "field_invalid");
    }
    let (id, secret) = registered(&test, "https://localhost/hook").await;
    assert!(!only(&test).await.to_string().contains(&secret));
    let audit = test.get("/portvakt/v1/audit", &test.operator()).await.expect(200);
    assert!(audit.to_string().contains(&id) && !audit.to_string().contains(&secret));
    // A name is looked up when it is called, and what it stands for is private.
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    deliver(&test).await;
    let error = only(&test).await["lastError"].as_str().unwrap().to_owned();
    assert!(error.contains("not one that all the world can reach"), "{error}");
    for _ in 1..10 {
        registered(&test, "https://vendor.no/").await;
    }
    let answer = test.post(WEBHOOKS, &test.vendor(), &json!({ "url": "https://vendor.no/" })).await;
    answer.expect_code(409, "webhooks_too_many");
}

#[tokio::test]
async fn of_two_control_planes_one_sends_each_event() {
    let first = TestState::with_system().await.with_private_webhooks();
    let second = first.replica().await.with_private_webhooks();
    let (url, calls) = server(&[]).await;
    registered(&first, &url).await;
    for number in 0..10 {
        let mut request = story::request();
        request["externalRef"] = json!(number.to_string());
        first.post(story::REQUESTS, &first.vendor(), &request).await.expect(201);
    }
    tokio::join!(deliver(&first), deliver(&second));
    first.clock.advance_seconds(60);
    tokio::join!(deliver(&second), deliver(&first));
    let ids: Vec<i64> = calls
        .lock()
        .unwrap()
        .iter()
        .map(|(headers, _)| headers["webhook-id"].to_str().unwrap().trim_start_matches("evt_").parse().unwrap())
        .collect();
    assert!(ids.len() == 10 && ids.is_sorted() && ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

/// A control plane whose turn went to another one meanwhile does not take back what that one has sent.
#[tokio::test]
async fn who_was_too_slow_takes_nothing_back() {
    let test = TestState::with_system().await.with_private_webhooks();
    let (url, calls) = server(&[]).await;
    registered(&test, &url).await;
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    let slow =
        crate::webhooks::store::due(&mut test.state.store.read().await.unwrap(), test.clock.now(), 1).await.unwrap();
    deliver(&test).await;
    let mut change = test.state.store.change().await.unwrap();
    crate::webhooks::store::update(change.connection(), &slow[0]).await.unwrap();
    change.commit_derived().await.unwrap();
    test.clock.advance_seconds(60);
    deliver(&test).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
}
