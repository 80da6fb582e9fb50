//! What the filter does with its host: configuration, waiting calls, polls, clients that leave. Decisions are the cases'.

use std::time::Duration;

use gateway_tests::cases::{Case, keys, publish_all, wasm};
use gateway_tests::proxy_host::{BodyOutcome, HostOptions, ProxyHost, StreamId, Vm};
use policies::Timestamp;
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T12:00:00Z";

/// The host's clock at the start.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339(NOW).unwrap()
}

/// A filter with the usual configuration, changed, after its first tick.
pub(crate) fn start_with(change: impl Fn(&mut Value)) -> Vm {
    let mut configuration = wasm::filter_configuration().unwrap();
    change(&mut configuration);
    let now_unix_nanos = now().unix_millis() as u64 * 1_000_000;
    let options = HostOptions { now_unix_nanos, ..HostOptions::default() };
    let mut vm = ProxyHost::from_environment().unwrap().start(&configuration.to_string(), options).unwrap();
    vm.advance(Duration::from_millis(100)).unwrap();
    vm
}

fn start() -> Vm {
    start_with(|_| {})
}

/// A case's call; `{}` for what it does not say.
fn case(value: Value) -> Case {
    serde_json::from_value(value).unwrap()
}

fn permitted() -> Case {
    case(
        json!({"proves": "-", "call": {"path": "/vat/310247049/returns", "token": {}}, "expect": {"deny": {"reason": "-", "status": 0}}}),
    )
}

fn send(vm: &mut Vm, case: &Case) -> StreamId {
    let stream = vm.open_stream().unwrap();
    vm.request_headers(stream, case.headers(now()).unwrap(), false).unwrap();
    stream
}

fn poll(vm: &mut Vm) -> u32 {
    vm.pending_http_calls().first().expect("the filter polls").token
}

fn serve(vm: &mut Vm, change: Value) {
    let mut publication = json!({});
    publication.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let published = publish_all(&[serde_json::from_value(publication).unwrap()], now()).unwrap().remove(0);
    let token = poll(vm);
    vm.answer_http_call(token, 200, &[], &published.body).unwrap();
}

fn code(vm: &Vm, stream: StreamId) -> String {
    let outcome = vm.outcome(stream).unwrap();
    let reply = outcome.reply().unwrap_or_else(|| panic!("no reply: {outcome:?}"));
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    body["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_configuration_with_a_mistake_is_refused_and_the_mistake_is_named() {
    let host = ProxyHost::from_environment().unwrap();
    for (pointer, value, named) in [
        ("/snapshotKey", json!("x"), "snapshotKey"),
        ("/hold/seconds", json!(1), "seconds"),
        ("/controlPlane/waitSeconds", json!(99), "controlPlane.waitSeconds"),
        ("/snapshotKeys", json!(["x"]), "snapshotKeys[0]"),
    ] {
        let mut configuration = wasm::filter_configuration().unwrap();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        configuration.pointer_mut(parent).unwrap()[member] = value;
        let refusal = host.start(&configuration.to_string(), HostOptions::default()).map(|_| ()).unwrap_err();
        assert!(refusal.is_refusal(), "{refusal}");
        assert!(refusal.to_string().contains(named), "{refusal}");
    }
    assert!(host.start("", HostOptions::default()).is_err());
    assert!(host.start("[]", HostOptions::default()).is_err());
}

#[test]
fn nothing_is_sent_while_it_is_configured() {
    let configuration = wasm::filter_configuration().unwrap().to_string();
    let vm = ProxyHost::from_environment().unwrap().start(&configuration, HostOptions::default()).unwrap();
    assert!(vm.pending_http_calls().is_empty());
}

#[test]
fn a_poll_proves_the_gateway_and_asks_to_be_held() {
    let vm = start();
    let calls = vm.pending_http_calls();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(call.cluster, "control-plane");
    assert_eq!(call.headers.get("authorization").as_deref(), Some("Bearer cases"));
    assert_eq!(call.headers.get("prefer").as_deref(), Some("wait=25"));
    assert!(call.headers.get(":path").unwrap().starts_with("/snapshots/regnskapsregisteret?gateway=cases&worker="));
    assert_eq!(call.timeout, Duration::from_secs(35));
}

#[test]
fn calls_wait_for_the_first_snapshot_and_are_then_decided_each() {
    let mut vm = start();
    let good = send(&mut vm, &permitted());
    let mut no_token = permitted();
    no_token.call.token = None;
    let bad = send(&mut vm, &no_token);
    assert!(vm.outcome(good).unwrap().is_paused() && vm.outcome(bad).unwrap().is_paused());
    assert_eq!(vm.metric("portvakt.held"), Some(2));
    serve(&mut vm, json!({}));
    let outcome = vm.outcome(good).unwrap();
    let headers = outcome.headers().unwrap_or_else(|| panic!("not let through: {outcome:?}"));
    assert_eq!(headers.get("x-systemuser-party").as_deref(), Some("310247049"));
    assert_eq!(code(&vm, bad), "token_missing");
    vm.tick().unwrap();
    assert_eq!(vm.metric("portvakt.permitted"), Some(1));
    assert_eq!(vm.metric("portvakt.denied.token_missing"), Some(1));
}

#[test]
fn the_body_of_a_call_that_waited_follows_it() {
    let mut vm = start();
    let stream = send(&mut vm, &permitted());
    serve(&mut vm, json!({}));
    assert!(vm.outcome(stream).unwrap().headers().is_some());
    let body = vm.request_body(stream, b"body", true).unwrap();
    assert!(matches!(body, BodyOutcome::Continue { .. }), "{body:?}");
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_no_other_call_with_it() {
    let mut vm = start();
    let leaves = send(&mut vm, &permitted());
    let stays = send(&mut vm, &permitted());
    vm.close_stream(leaves).unwrap();
    serve(&mut vm, json!({}));
    assert!(vm.outcome(stays).unwrap().headers().is_some());
    vm.tick().unwrap();
    assert_eq!(vm.metric("portvakt.permitted"), Some(1));
}

#[test]
fn no_more_calls_wait_than_are_allowed_and_none_for_ever() {
    let mut vm = start_with(|configuration| configuration["hold"] = json!({"callsMax": 1, "millisecondsMax": 300}));
    let waits = send(&mut vm, &permitted());
    let too_many = send(&mut vm, &permitted());
    assert_eq!(code(&vm, too_many), "policy_missing");
    assert!(vm.outcome(waits).unwrap().is_paused());
    vm.advance(Duration::from_millis(400)).unwrap();
    assert_eq!(code(&vm, waits), "policy_missing");
    let reply = vm.outcome(waits).unwrap();
    assert_eq!(reply.reply().unwrap().headers.get("retry-after").as_deref(), Some("5"));
}

#[test]
fn a_control_plane_that_is_gone_or_slow_changes_no_decision() {
    let mut vm = start();
    serve(&mut vm, json!({}));
    for _ in 0..3 {
        let token = poll(&mut vm);
        vm.fail_http_call(token).unwrap();
        vm.advance(Duration::from_secs(11)).unwrap();
        let token = poll(&mut vm);
        vm.time_out_http_call(token).unwrap();
        vm.advance(Duration::from_secs(11)).unwrap();
    }
    assert_eq!(vm.metric("portvakt.feed.failed"), Some(6));
    let stream = send(&mut vm, &permitted());
    assert!(vm.outcome(stream).unwrap().headers().is_some());
    serve(&mut vm, json!({"document": "walk-withdrawn", "version": 2}));
    let stream = send(&mut vm, &permitted());
    assert_eq!(code(&vm, stream), "system_user_withdrawn");
}

#[test]
fn the_snapshot_in_force_offered_again_changes_nothing_and_is_not_asked_for_in_a_loop() {
    let mut vm = start();
    serve(&mut vm, json!({}));
    serve(&mut vm, json!({}));
    assert_eq!((vm.metric("portvakt.snapshot.applied"), vm.metric("portvakt.snapshot.refused")), (Some(1), None));
    assert!(vm.pending_http_calls().is_empty());
    vm.advance(Duration::from_millis(600)).unwrap();
    assert_eq!(vm.pending_http_calls().len(), 1);
}

#[test]
fn without_a_cluster_the_log_says_so() {
    let configuration = wasm::filter_configuration().unwrap().to_string();
    let options = HostOptions { clusters: Some(std::collections::BTreeSet::new()), ..HostOptions::default() };
    let mut vm = ProxyHost::from_environment().unwrap().start(&configuration, options).unwrap();
    vm.advance(Duration::from_millis(100)).unwrap();
    assert!(
        vm.logs().iter().any(|line| line.message.contains("is there a cluster `control-plane`?")),
        "{:?}",
        vm.logs()
    );
}

#[test]
fn nothing_secret_is_in_a_log_or_a_reply() {
    let mut vm = start();
    serve(&mut vm, json!({}));
    let mut case = permitted();
    case.call.path = "/vat/310247057/returns".to_owned();
    let token = case.headers(now()).unwrap().into_iter().find(|(name, _)| name == "authorization").unwrap().1;
    let signature = token.rsplit('.').next().unwrap();
    let stream = send(&mut vm, &case);
    assert_eq!(code(&vm, stream), "party_not_represented");
    vm.tick().unwrap();
    let outcome = vm.outcome(stream).unwrap();
    let reply = String::from_utf8(outcome.reply().unwrap().body.clone()).unwrap();
    let key = keys::key("snapshot").unwrap().public_pem().unwrap();
    for line in vm.logs().iter().map(|line| line.message.as_str()).chain([reply.as_str()]) {
        assert!(!line.contains(signature) && !line.contains("Bearer cases") && !line.contains(key.as_str()), "{line}");
    }
    let denial = vm.logs().iter().find(|line| line.message.starts_with("denied")).unwrap();
    for part in ["denial.reason=party_not_represented", "route=vat-returns", "party=310247057", "snapshot.version=1.1"]
    {
        assert!(denial.message.contains(part), "{}", denial.message);
    }
}
