//! A shadow snapshot decides beside the one in force, is counted and told, and answers nothing.

use std::time::Duration;

use gateway_tests::cases::{Case, TokenSpec, mint, publish_all, wasm};
use gateway_tests::envoy::Envoy;
use gateway_tests::faults::{FaultyControlPlane, now};
use gateway_tests::http::loopback_client;
use gateway_tests::proxy_host::{HostOptions, ProxyHost, Vm};
use gateway_tests::sample_api::SampleApi;
use gateway_tests::wait;
use serde_json::{Value, json};

use crate::filter_in_wasmtime::now as then;
use crate::in_envoy_stage::envoy_settings;

const BOUND: Duration = Duration::from_secs(30);

fn shadow() -> Value {
    json!({"controlPlane": {"cluster": "next", "authority": "next", "credential": "next"}})
}

fn start_with(shadow: Value) -> Vm {
    let mut configuration = wasm::filter_configuration().unwrap();
    configuration["shadowSnapshot"] = shadow;
    configuration["decisionLog"] = json!({});
    let now_unix_nanos = then().unix_millis() as u64 * 1_000_000;
    let options = HostOptions { now_unix_nanos, ..HostOptions::default() };
    let mut vm = ProxyHost::from_environment().unwrap().start(&configuration.to_string(), options).unwrap();
    vm.advance(Duration::from_millis(100)).unwrap();
    vm
}

fn poll_of(vm: &Vm, cluster: &str) -> Option<u32> {
    let calls = vm.pending_http_calls();
    let is_poll = |path: Option<&str>| path.is_some_and(|path| path.starts_with("/snapshots/regnskapsregisteret?"));
    calls
        .iter()
        .find(|call| call.cluster == cluster && is_poll(call.headers.get(":path").as_deref()))
        .map(|call| call.token)
}

fn serve(vm: &mut Vm, cluster: &str, version: u64, document: &str) {
    let publication = json!({"version": version, "document": document});
    let body = publish_all(&[serde_json::from_value(publication).unwrap()], then()).unwrap().remove(0).body;
    vm.advance(Duration::from_secs(1)).unwrap();
    let poll = poll_of(vm, cluster).unwrap();
    vm.answer_http_call(poll, 200, &[], &body).unwrap();
}

fn call(vm: &mut Vm) -> String {
    let case = json!({"proves": "-", "call": {"path": "/vat/310247049/returns", "token": {}},
        "expect": {"deny": {"reason": "-", "status": 0}}});
    let case: Case = serde_json::from_value(case).unwrap();
    let stream = vm.open_stream().unwrap();
    let outcome = vm.request_headers(stream, case.headers(then()).unwrap(), true).unwrap();
    outcome.reply().map_or("permitted".to_owned(), |reply| {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        body["code"].as_str().unwrap().to_owned()
    })
}

fn counted(vm: &Vm, what: &str) -> u64 {
    vm.metric(&format!("portvakt.shadow_snapshot.{what}")).unwrap_or(0)
}

/// Kind and reason of every entry of the decision log that has waited.
fn told(vm: &mut Vm) -> Vec<(String, Value)> {
    vm.advance(Duration::from_millis(1200)).unwrap();
    let calls = vm.pending_http_calls();
    let batch = calls.iter().find(|call| call.headers.get(":path").unwrap().ends_with("/decisions")).unwrap();
    let body: Value = serde_json::from_slice(&batch.body).unwrap();
    vm.answer_http_call(batch.token, 204, &[], b"").unwrap();
    let entries = body["decisions"].as_array().unwrap().iter();
    entries.map(|entry| (entry["decision"].as_str().unwrap().to_owned(), entry["reason"].clone())).collect()
}

#[test]
fn what_it_would_change_is_counted_and_told_and_changes_nothing() {
    let mut vm = start_with(shadow());
    assert_eq!(poll_of(&vm, "next"), None, "nobody is served yet");
    serve(&mut vm, "control-plane", 1, "walk");
    assert_eq!(call(&mut vm), "permitted");
    serve(&mut vm, "next", 7, "walk");
    assert_eq!((call(&mut vm).as_str(), counted(&vm, "same")), ("permitted", 1));

    serve(&mut vm, "next", 8, "walk-withdrawn");
    assert_eq!((call(&mut vm).as_str(), counted(&vm, "permit_to_deny")), ("permitted", 1));
    assert_eq!(told(&mut vm), [("shadow_snapshot_deny".to_owned(), json!("system_user_withdrawn"))]);

    serve(&mut vm, "control-plane", 2, "walk-withdrawn");
    assert_eq!((call(&mut vm).as_str(), counted(&vm, "same")), ("system_user_withdrawn", 2));
    assert_eq!(told(&mut vm), [("deny".to_owned(), json!("system_user_withdrawn"))]);
    serve(&mut vm, "next", 9, "walk");
    assert_eq!((call(&mut vm).as_str(), counted(&vm, "deny_to_permit")), ("system_user_withdrawn", 1));
    let kinds: Vec<String> = told(&mut vm).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["shadow_snapshot_permit", "deny"]);
    assert_eq!((vm.metric("portvakt.snapshot.version"), counted(&vm, "version")), (Some(2), 9));
}

#[test]
fn one_that_is_broken_too_large_or_away_is_not_compared_and_disturbs_nothing() {
    for (shadow, body) in [
        (shadow(), b"garbage".to_vec()),
        (json!({"controlPlane": shadow()["controlPlane"], "bytesMax": 6}), b"garbage".to_vec()),
    ] {
        let mut vm = start_with(shadow);
        serve(&mut vm, "control-plane", 1, "walk");
        assert_eq!(call(&mut vm), "permitted");
        vm.advance(Duration::from_secs(1)).unwrap();
        let poll = poll_of(&vm, "next").unwrap();
        vm.answer_http_call(poll, 200, &[], &body).unwrap();
        assert_eq!(counted(&vm, "refused"), 1);
        vm.advance(Duration::from_secs(11)).unwrap();
        let poll = poll_of(&vm, "next").unwrap();
        vm.fail_http_call(poll).unwrap();
        assert_eq!((call(&mut vm).as_str(), counted(&vm, "failed")), ("permitted", 1));
        assert_eq!((counted(&vm, "same"), vm.metric("portvakt.snapshot.refused").unwrap_or(0)), (0, 0));
    }
}

#[test]
fn one_that_is_too_old_says_nothing() {
    let mut vm = start_with(shadow());
    serve(&mut vm, "control-plane", 1, "walk");
    assert_eq!(call(&mut vm), "permitted");
    serve(&mut vm, "next", 1, "walk-withdrawn");
    for _ in 0..8 {
        vm.advance(Duration::from_secs(120)).unwrap();
        if let Some(poll) = poll_of(&vm, "control-plane") {
            vm.answer_http_call(poll, 304, &[], b"").unwrap();
        }
    }
    let code = call(&mut vm);
    assert_eq!((code.as_str(), counted(&vm, "permit_to_deny")), ("token_expired", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_envoy_another_control_plane_is_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let (control_plane, next) =
        (FaultyControlPlane::start().await.unwrap(), FaultyControlPlane::start().await.unwrap());
    let sample_api = SampleApi::start().await.unwrap();
    let mut filter_configuration = wasm::filter_configuration().unwrap();
    filter_configuration["shadowSnapshot"] = shadow();
    let settings = envoy_settings(&folder, filter_configuration, 2, &control_plane, &sample_api);
    let told = Envoy::with_cluster(Envoy::bootstrap(&settings), "next", next.address()).unwrap();
    let envoy = Envoy::start_with(&settings, &told).await.unwrap();
    let spec: TokenSpec = serde_json::from_value(json!({"claims": {"exp": {"now": 600}}})).unwrap();
    let (http, token) = (loopback_client().unwrap(), mint(&spec, now()).unwrap());
    next.publish().unwrap();
    wait::until("a call to be compared", BOUND, async || {
        let url = format!("{}/vat/310247049/returns", envoy.base_url());
        let call = http.get(url).header("host", "api.example.no").header("connection", "close");
        assert_eq!(call.bearer_auth(&token).send().await?.status(), 200);
        let differing: u64 = envoy.stats("portvakt.shadow_snapshot.permit_to_deny").await?.values().sum();
        Ok((differing > 3).then_some(()))
    })
    .await
    .unwrap();
}
