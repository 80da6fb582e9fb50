//! What the filter does beside deciding, where it is configured: keys from issuers, a snapshot to begin with, the decision
//! log, routes that want a fresher policy.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_tests::cases::{Case, keys, publish_all, wasm};
use gateway_tests::proxy_host::{HostOptions, ProxyHost, Shared, StreamId, Vm};
use serde_json::{Value, json};

use crate::filter_in_wasmtime::{now, start_with};

const ISSUER: &str = "https://maskinporten.example/";

/// The only call under way to a path that begins so.
fn under_way(vm: &Vm, path: &str) -> Option<u32> {
    let calls = vm.pending_http_calls();
    let mut to_it =
        calls.iter().filter(|call| call.headers.get(":path").is_some_and(|called| called.starts_with(path)));
    let first = to_it.next().map(|call| call.token);
    assert!(to_it.next().is_none(), "two calls to {path}");
    first
}

fn body(publication: Value) -> Vec<u8> {
    publish_all(&[serde_json::from_value(publication).unwrap()], now()).unwrap().remove(0).body
}

fn serve(vm: &mut Vm, publication: Value) {
    let poll = under_way(vm, "/snapshots/regnskapsregisteret?").unwrap();
    vm.answer_http_call(poll, 200, &[], &body(publication)).unwrap();
}

/// Calls with a token that `key` signs.
fn begin(vm: &mut Vm, key: &str) -> StreamId {
    let case = json!({"proves": "-", "call": {"path": "/vat/310247049/returns", "token": {"key": key}},
        "expect": {"deny": {"reason": "-", "status": 0}}});
    let case: Case = serde_json::from_value(case).unwrap();
    let stream = vm.open_stream().unwrap();
    vm.request_headers(stream, case.headers(now()).unwrap(), true).unwrap();
    stream
}

/// `permitted`, `waits`, or the code of the refusal.
fn answer(vm: &Vm, stream: StreamId) -> String {
    let outcome = vm.outcome(stream).unwrap();
    if outcome.is_paused() {
        return "waits".to_owned();
    }
    match outcome.reply() {
        None => "permitted".to_owned(),
        Some(reply) => {
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            body["code"].as_str().unwrap().to_owned()
        }
    }
}

fn call(vm: &mut Vm, key: &str) -> String {
    let stream = begin(vm, key);
    answer(vm, stream)
}

fn ask_the_issuer(configuration: &mut Value) {
    configuration["issuerKeys"] = json!([{"issuer": ISSUER, "cluster": "maskinporten",
        "authority": "maskinporten.example", "path": "/jwk", "intervalSeconds": 10}]);
}

fn with_issuer_keys() -> Vm {
    let mut vm = start_with(ask_the_issuer);
    serve(&mut vm, json!({}));
    vm
}

/// The fetch of an issuer's keys that comes with the next tick.
fn fetch(vm: &mut Vm) -> Option<u32> {
    vm.advance(Duration::from_millis(100)).unwrap();
    under_way(vm, "/jwk")
}

fn key_set(name: &str) -> Vec<u8> {
    json!({ "keys": [keys::key(name).unwrap().public_jwk(name)] }).to_string().into_bytes()
}

#[test]
fn an_unknown_key_is_fetched_from_its_issuer_and_then_known() {
    let mut vm = with_issuer_keys();
    assert_eq!(fetch(&mut vm), None, "nobody has asked for a key yet");
    let waits = begin(&mut vm, "ec-next");
    let other = begin(&mut vm, "ec-other");
    assert_eq!((answer(&vm, waits).as_str(), answer(&vm, other).as_str()), ("waits", "waits"));
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted", "nobody else waits");
    let token = fetch(&mut vm).unwrap();
    assert_eq!(call(&mut vm, "ec-next"), "waits");
    vm.answer_http_call(token, 200, &[], &key_set("ec-next")).unwrap();
    assert_eq!((answer(&vm, waits).as_str(), answer(&vm, other).as_str()), ("permitted", "key_unknown"));
    assert_eq!(call(&mut vm, "ec-other"), "key_unknown", "it was asked just now");
    assert_eq!(call(&mut vm, "ec-next"), "permitted");
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted", "the snapshot's own");
    assert_eq!(vm.metric("portvakt.issuer_keys.waited"), Some(3));
    // A new base knows nothing of it, and it still counts.
    serve(&mut vm, json!({"version": 2}));
    assert_eq!(call(&mut vm, "ec-next"), "permitted");
    assert_eq!(vm.metric("portvakt.issuer_keys.fetched"), Some(1));
}

#[test]
fn however_many_keys_are_unknown_an_issuer_is_asked_once_in_an_interval() {
    let mut vm = with_issuer_keys();
    let mut fetches = 0;
    for round in 0..30 {
        let calls: Vec<_> = (0..10).map(|number| begin(&mut vm, &format!("ec-{round}-{number}"))).collect();
        if let Some(token) = fetch(&mut vm) {
            fetches += 1;
            vm.answer_http_call(token, 503, &[], b"").unwrap();
        }
        for call in calls {
            assert_eq!(answer(&vm, call), "key_unknown");
        }
        assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted");
        vm.advance(Duration::from_millis(900)).unwrap();
    }
    assert_eq!(fetches, 3, "30 s, an interval of 10 s");
}

#[test]
fn a_key_set_that_cannot_be_relied_on_changes_nothing() {
    let mut vm = with_issuer_keys();
    assert_eq!(call(&mut vm, "ec-next"), "waits");
    let token = fetch(&mut vm).unwrap();
    vm.answer_http_call(token, 200, &[], &key_set("ec-next")).unwrap();
    let twice = format!("{{\"keys\":[{0},{0}]}}", keys::key("ec-other").unwrap().public_jwk("ec-other"));
    let wrong = [
        (200, b"<html>It works!</html>".to_vec()),
        (200, Vec::new()),
        (200, br#"{"keys":[]}"#.to_vec()),
        (500, key_set("ec-other")),
        (200, [key_set("ec-other"), vec![b' '; 2 << 20]].concat()),
        (200, twice.into_bytes()),
    ];
    for (refused, (status, body)) in (1..).zip(wrong) {
        vm.advance(Duration::from_secs(11)).unwrap();
        let waits = begin(&mut vm, "ec-other");
        let token = fetch(&mut vm).unwrap();
        vm.answer_http_call(token, status, &[], &body).unwrap();
        assert_eq!(answer(&vm, waits), "key_unknown");
        assert_eq!(vm.metric("portvakt.issuer_keys.refused"), Some(refused));
        assert_eq!(call(&mut vm, "ec-other"), "key_unknown");
        assert_eq!(call(&mut vm, "ec-next"), "permitted", "the last good set");
    }
}

#[test]
fn so_many_calls_wait_for_a_key_and_none_for_ever() {
    let mut vm = with_issuer_keys();
    let mut waiting: Vec<_> = (0..100).map(|number| begin(&mut vm, &format!("ec-{number}"))).collect();
    assert!(waiting.iter().all(|stream| answer(&vm, *stream) == "waits"));
    assert_eq!(call(&mut vm, "ec-next"), "key_unknown", "there is no room");
    let leaves = waiting.pop().unwrap();
    vm.close_stream(leaves).unwrap();
    assert_eq!(call(&mut vm, "ec-next"), "waits", "there is");
    fetch(&mut vm).unwrap();
    vm.advance(Duration::from_millis(1800)).unwrap();
    assert!(waiting.iter().all(|stream| answer(&vm, *stream) == "waits"));
    vm.advance(Duration::from_millis(200)).unwrap();
    assert!(waiting.iter().all(|stream| answer(&vm, *stream) == "key_unknown"));
}

#[test]
fn what_another_worker_is_asking_for_is_waited_for() {
    let shared = Shared::default();
    let mut workers = [1, 2].map(|random_seed| {
        let mut configuration = wasm::filter_configuration().unwrap();
        ask_the_issuer(&mut configuration);
        let now_unix_nanos = now().unix_millis() as u64 * 1_000_000;
        let options = HostOptions { now_unix_nanos, random_seed, shared: shared.clone(), ..HostOptions::default() };
        ProxyHost::from_environment().unwrap().start(&configuration.to_string(), options).unwrap()
    });
    let [asks, follows] = &mut workers;
    asks.advance(Duration::from_millis(100)).unwrap();
    serve(asks, json!({}));
    follows.advance(Duration::from_millis(200)).unwrap();
    assert_eq!(call(follows, "rsa-maskinporten"), "permitted");
    let streams = (begin(asks, "ec-next"), begin(follows, "ec-next"));
    let token = fetch(asks).unwrap();
    assert_eq!(fetch(follows), None, "one asks");
    assert_eq!((answer(asks, streams.0).as_str(), answer(follows, streams.1).as_str()), ("waits", "waits"));
    asks.answer_http_call(token, 200, &[], &key_set("ec-next")).unwrap();
    follows.advance(Duration::from_millis(100)).unwrap();
    assert_eq!((answer(asks, streams.0).as_str(), answer(follows, streams.1).as_str()), ("permitted", "permitted"));
}

#[test]
fn a_snapshot_of_the_configuration_decides_only_while_nothing_newer_can_be_had() {
    let bootstrap = |configuration: &mut Value| {
        configuration["bootstrap"] = json!({"snapshot": STANDARD.encode(body(json!({})))});
    };
    let mut vm = start_with(bootstrap);
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "waits", "the control plane may have something newer");
    let poll = under_way(&vm, "/snapshots/regnskapsregisteret?").unwrap();
    vm.fail_http_call(poll).unwrap();
    vm.advance(Duration::from_millis(300)).unwrap();
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted");
    vm.advance(Duration::from_secs(1)).unwrap();
    serve(&mut vm, json!({"version": 2, "document": "walk-withdrawn"}));
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "system_user_withdrawn");

    let mut silent = start_with(bootstrap);
    silent.advance(Duration::from_millis(1100)).unwrap();
    assert_eq!(call(&mut silent, "rsa-maskinporten"), "permitted", "nobody answers");
}

#[test]
fn a_snapshot_of_the_configuration_is_refused_when_it_is_damaged_and_stale_when_it_is_old() {
    let host = ProxyHost::from_environment().unwrap();
    let mut configuration = wasm::filter_configuration().unwrap();
    let mut damaged = body(json!({}));
    *damaged.last_mut().unwrap() ^= 1;
    configuration["bootstrap"] = json!({"snapshot": STANDARD.encode(damaged)});
    let now_unix_nanos = now().unix_millis() as u64 * 1_000_000;
    let options = HostOptions { now_unix_nanos, ..HostOptions::default() };
    let refusal = host.start(&configuration.to_string(), options).map(|_| ()).unwrap_err();
    assert!(refusal.is_refusal() && refusal.to_string().contains("bootstrap.snapshot"), "{refusal}");

    let mut vm = start_with(|configuration| {
        let old = body(json!({"issuedSeconds": -120}));
        configuration["bootstrap"] = json!({"snapshot": STANDARD.encode(old), "ageSecondsMax": 60});
    });
    vm.advance(Duration::from_millis(1100)).unwrap();
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "policy_stale");
}

#[test]
fn a_route_can_want_a_fresher_policy_than_the_others() {
    let mut vm = start_with(|configuration| {
        configuration["staleness"] = json!({"warnSeconds": 60, "denySeconds": 900, "routes": {"vat-returns": 30}});
    });
    serve(&mut vm, json!({}));
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted");
    vm.advance(Duration::from_secs(29)).unwrap();
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted");
    vm.advance(Duration::from_secs(2)).unwrap();
    assert_eq!(call(&mut vm, "rsa-maskinporten"), "policy_stale");
}

#[test]
fn decisions_are_told_in_batches_and_again_when_they_were_not_taken() {
    let mut vm = start_with(|configuration| {
        configuration["decisionLog"] = json!({"permitsOneIn": 2, "mask": ["systemUser"]});
    });
    serve(&mut vm, json!({}));
    for _ in 0..4 {
        assert_eq!(call(&mut vm, "rsa-maskinporten"), "permitted");
    }
    assert_eq!(call(&mut vm, "ec-unknown"), "key_unknown");
    vm.advance(Duration::from_millis(1200)).unwrap();
    let told = |vm: &Vm| {
        let calls = vm.pending_http_calls();
        let call = calls.iter().find(|call| call.headers.get(":path").unwrap().ends_with("/decisions")).unwrap();
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        (call.token, body)
    };
    let (token, first) = told(&vm);
    let decisions = first["decisions"].as_array().unwrap();
    let kinds: Vec<_> = decisions.iter().map(|entry| entry["decision"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["permit", "permit", "deny"]);
    assert_eq!((&decisions[0]["route"], &decisions[0]["party"]), (&json!("vat-returns"), &json!("310247049")));
    assert_eq!(decisions[0]["systemUser"].as_str().unwrap().len(), 16);
    assert_eq!(decisions[2]["reason"], "key_unknown");
    vm.answer_http_call(token, 503, &[], b"").unwrap();
    vm.advance(Duration::from_secs(3)).unwrap();
    let (token, again) = told(&vm);
    assert_eq!(again, first);
    vm.answer_http_call(token, 204, &[], b"").unwrap();
    vm.advance(Duration::from_secs(5)).unwrap();
    assert_eq!(under_way(&vm, "/snapshots/regnskapsregisteret/decisions"), None);
}
