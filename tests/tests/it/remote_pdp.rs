//! A remote decision point: asked about callers that the snapshot does not know, never about what it decides, and compared
//! with beside that.

use std::time::Duration;

use gateway_tests::cases::{Case, TokenSpec, mint, publish_all, wasm};
use gateway_tests::envoy::{Envoy, EnvoySettings};
use gateway_tests::faults::{FaultyControlPlane, now};
use gateway_tests::http::loopback_client;
use gateway_tests::proxy_host::{HostOptions, HttpCall, Outcome, ProxyHost, StreamId, Vm};
use gateway_tests::sample_api::SampleApi;
use gateway_tests::stack::cast::ROERLEGGER;
use gateway_tests::story::moves::{self, Wanted};
use gateway_tests::wait;
use serde_json::{Value, json};

use crate::filter_in_wasmtime::now as then;
use crate::in_envoy_stage::Stage;

const BOUND: Duration = Duration::from_secs(30);
const UNKNOWN: &str = "11111111-2222-4333-8444-555555555555";
const PERMIT: &[u8] = br#"{"Response":[{"Decision":"Permit"}]}"#;
const DENY: &[u8] = br#"{"response":[{"decision":"NotApplicable","obligations":null}]}"#;

fn start_with(change: Value) -> Vm {
    let mut vm = not_served(change);
    serve(&mut vm);
    vm
}

fn not_served(change: Value) -> Vm {
    let mut configuration = wasm::filter_configuration().unwrap();
    configuration["remotePdp"] = json!({"cluster": "pdp", "authority": "pdp.example", "path": "/authorize",
        "headers": {"authorization": "Bearer of-the-gateway"}, "routes": {"vat-returns": ["system_user"]}});
    configuration["decisionLog"] = json!({});
    for (name, value) in change.as_object().unwrap() {
        configuration["remotePdp"][name] = value.clone();
    }
    let now_unix_nanos = then().unix_millis() as u64 * 1_000_000;
    let options = HostOptions { now_unix_nanos, ..HostOptions::default() };
    let mut vm = ProxyHost::from_environment().unwrap().start(&configuration.to_string(), options).unwrap();
    vm.advance(Duration::from_millis(100)).unwrap();
    vm
}

fn serve(vm: &mut Vm) {
    let body = publish_all(&[serde_json::from_value(json!({})).unwrap()], then()).unwrap().remove(0).body;
    let poll = to(vm, "control-plane").remove(0).token;
    vm.answer_http_call(poll, 200, &[], &body).unwrap();
}

/// Calls under way to a cluster.
fn to(vm: &Vm, cluster: &str) -> Vec<HttpCall> {
    vm.pending_http_calls().into_iter().filter(|call| call.cluster == cluster).collect()
}

fn headers(call: Value) -> Vec<(String, String)> {
    let case = json!({"proves": "-", "call": call, "expect": {"deny": {"reason": "-", "status": 0}}});
    let case: Case = serde_json::from_value(case).unwrap();
    case.headers(then()).unwrap()
}

fn claims_of(id: &str) -> Value {
    json!({"authorization_details": [{"type": "urn:altinn:systemuser", "systemuser_id": [id],
        "systemuser_org": {"authority": "iso6523-actorid-upis", "ID": "0192:310247049"},
        "system_id": "310247030_smartcloud"}]})
}

/// A call of a system user that the snapshot does not have.
fn unknown() -> Value {
    json!({"path": "/vat/310247049/returns", "token": {"claims": claims_of(UNKNOWN)}})
}

fn known() -> Value {
    json!({"path": "/vat/310247049/returns", "token": {}})
}

fn call(vm: &mut Vm, call: Value) -> (StreamId, String) {
    let stream = vm.open_stream().unwrap();
    let outcome = vm.request_headers(stream, headers(call), true).unwrap();
    (stream, word(&outcome))
}

/// `permitted`, `waits`, or the code of the refusal.
fn word(outcome: &Outcome) -> String {
    if outcome.is_paused() {
        return "waits".to_owned();
    }
    outcome.reply().map_or("permitted".to_owned(), |reply| {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        format!("{} {}", reply.status, body["code"].as_str().unwrap())
    })
}

fn counted(vm: &Vm, what: &str) -> u64 {
    vm.metric(&format!("portvakt.remote_pdp.{what}")).unwrap_or(0)
}

#[test]
fn a_system_user_that_the_snapshot_does_not_know_waits_for_the_answer() {
    let mut vm = start_with(json!({}));
    let (stream, waits) = call(&mut vm, unknown());
    assert_eq!(waits, "waits");
    let asked = to(&vm, "pdp").remove(0);
    let header = |name: &str| asked.headers.get(name).unwrap().into_owned();
    assert_eq!(
        (header(":method"), header(":path"), header(":authority")),
        ("POST".into(), "/authorize".into(), "pdp.example".into())
    );
    assert_eq!((header("authorization"), asked.timeout), ("Bearer of-the-gateway".into(), Duration::from_millis(500)));
    let attribute = |id: &str, value: &str| json!({"AttributeId": id, "Value": value});
    let request: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(
        request,
        json!({"Request": {
            "AccessSubject": [{"Attribute": [attribute("urn:altinn:systemuser:uuid", UNKNOWN)]}],
            "Action": [{"Attribute": [attribute("urn:oasis:names:tc:xacml:1.0:action:action-id", "read")]}],
            "Resource": [{"Attribute": [attribute("urn:altinn:resource", "vat"),
                attribute("urn:altinn:organization:identifier-no", "310247049")]}],
        }})
    );
    vm.answer_http_call(asked.token, 200, &[], PERMIT).unwrap();
    let outcome = vm.outcome(stream).unwrap();
    assert_eq!(word(&outcome), "permitted");
    let told = |name: &str| outcome.headers().unwrap().get(name).map(|value| value.into_owned());
    assert_eq!(told("x-systemuser-id").as_deref(), Some(UNKNOWN));
    assert_eq!(told("x-systemuser-party").as_deref(), Some("310247049"));
    assert_eq!(told("x-systemuser-vendor"), None, "nobody has said whose system it is");
    // For a minute the answer is remembered.
    assert_eq!(call(&mut vm, unknown()).1, "permitted");
    vm.advance(Duration::from_secs(61)).unwrap();
    assert_eq!(call(&mut vm, unknown()).1, "waits");
    assert_eq!(counted(&vm, "asked"), 2);
}

#[test]
fn a_refusal_and_the_want_of_an_answer_are_told_apart() {
    let level = |level: u8| {
        let assignment = json!([{"AttributeId": "a", "Value": level.to_string(), "Category": "urn:altinn:minimum-authenticationlevel"}]);
        json!({"Response": [{"Decision": "Permit", "Obligations": [{"Id": "o", "AttributeAssignment": assignment}]}]})
            .to_string()
            .into_bytes()
    };
    let other = String::from_utf8(level(3)).unwrap().replace("minimum-auth", "maximum-auth").into_bytes();
    for (status, body, expected) in [
        (200, DENY.to_vec(), "403 remote_pdp_denies"),
        (200, level(3), "permitted"),
        (200, level(4), "403 authentication_level_too_low"),
        (200, other, "403 obligation_unknown"),
        (200, br#"{"Response":[{"Decision":"Indeterminate"}]}"#.to_vec(), "503 remote_pdp_unavailable"),
        (200, b"<html>".to_vec(), "503 remote_pdp_unavailable"),
        (200, [PERMIT, &[b' '; 70_000]].concat(), "503 remote_pdp_unavailable"),
        (401, PERMIT.to_vec(), "503 remote_pdp_unavailable"),
        (504, b"upstream request timeout".to_vec(), "503 remote_pdp_unavailable"),
    ] {
        let mut vm = start_with(json!({}));
        let (stream, _) = call(&mut vm, unknown());
        let asked = to(&vm, "pdp").remove(0).token;
        vm.answer_http_call(asked, status, &[], &body).unwrap();
        assert_eq!(
            word(&vm.outcome(stream).unwrap()),
            expected,
            "{status} {}",
            String::from_utf8_lossy(&body[..20.min(body.len())])
        );
        assert_eq!(vm.histogram("portvakt.remote_pdp.time_ms"), [0], "the host's clock stands");
        // Only what was an answer is remembered.
        let remembered = !expected.starts_with("503");
        assert_eq!(call(&mut vm, unknown()).1 != "waits", remembered, "{expected}");
    }
    let mut vm = start_with(json!({}));
    let (stream, _) = call(&mut vm, unknown());
    let asked = to(&vm, "pdp").remove(0).token;
    vm.fail_http_call(asked).unwrap();
    assert_eq!(word(&vm.outcome(stream).unwrap()), "503 remote_pdp_unavailable");
}

#[test]
fn what_the_snapshot_decides_is_not_asked() {
    let mut vm =
        start_with(json!({"routes": {"vat-returns": ["system_user", "user", "organization", "service_owner"]}}));
    assert_eq!(call(&mut vm, known()).1, "permitted");
    for (path, token, expected) in [
        ("/vat/310247057/returns", json!({}), "403 party_not_represented"),
        ("/vat/1/returns", json!({"claims": claims_of(UNKNOWN)}), "403 system_user_unknown"),
        ("/vat/310247049/returns", json!({"key": "ec-other", "claims": claims_of(UNKNOWN)}), "401 key_unknown"),
        ("/annual-accounts/310247049", json!({"claims": claims_of(UNKNOWN)}), "403 system_user_unknown"),
        ("/statistics", json!({}), "403 caller_not_allowed"),
    ] {
        let (_, word) = call(&mut vm, json!({"path": path, "token": token}));
        assert_eq!(word, expected, "{path}");
    }
    assert!(to(&vm, "pdp").is_empty());
}

#[test]
fn so_many_wait_and_no_more_and_whoever_leaves_makes_room() {
    let mut vm = start_with(json!({"callsMax": 2}));
    let user = |last: u8| {
        let id = format!("11111111-2222-4333-8444-{last:012}");
        json!({"path": "/vat/310247049/returns", "token": {"claims": claims_of(&id)}})
    };
    let (first, _) = call(&mut vm, user(1));
    let (second, _) = call(&mut vm, user(2));
    assert_eq!(call(&mut vm, user(3)).1, "503 remote_pdp_unavailable");
    vm.close_stream(first).unwrap();
    assert_eq!(call(&mut vm, user(3)).1, "waits");
    let asked = to(&vm, "pdp");
    let of_second =
        asked.iter().find(|call| String::from_utf8_lossy(&call.body).contains("000000000002")).unwrap().token;
    vm.answer_http_call(of_second, 200, &[], DENY).unwrap();
    assert_eq!(word(&vm.outcome(second).unwrap()), "403 remote_pdp_denies");
    assert_eq!(call(&mut vm, user(4)).1, "waits");
    assert_eq!(call(&mut vm, user(5)).1, "503 remote_pdp_unavailable");
}

#[test]
fn a_call_that_waited_for_the_first_snapshot_is_not_asked_about() {
    let mut vm = not_served(json!({}));
    let (stream, waits) = call(&mut vm, unknown());
    assert_eq!(waits, "waits");
    serve(&mut vm);
    assert_eq!(word(&vm.outcome(stream).unwrap()), "503 remote_pdp_unavailable");
    assert!(to(&vm, "pdp").is_empty());
}

#[test]
fn decisions_are_compared_beside_the_calls_and_never_changed() {
    let mut vm = start_with(json!({"routes": {}, "compareOneIn": 2}));
    for _ in 0..4 {
        assert_eq!(call(&mut vm, known()).1, "permitted");
    }
    let refused = json!({"path": "/vat/310247057/returns", "token": {}});
    for _ in 0..2 {
        assert_eq!(call(&mut vm, refused.clone()).1, "403 party_not_represented");
    }
    assert_eq!(call(&mut vm, unknown()).1, "403 system_user_unknown", "there is nothing to compare");
    assert!(to(&vm, "pdp").is_empty(), "not while calls are answered");
    vm.advance(Duration::from_millis(100)).unwrap();
    let asked = to(&vm, "pdp");
    assert_eq!(asked.len(), 3, "one in two");
    for (call, answer) in asked.iter().zip([PERMIT, DENY, PERMIT]) {
        vm.answer_http_call(call.token, 200, &[], answer).unwrap();
    }
    assert_eq!((counted(&vm, "same"), counted(&vm, "permit_to_deny"), counted(&vm, "deny_to_permit")), (1, 1, 1));
    assert_eq!(counted(&vm, "asked"), 0);
    for _ in 0..2 {
        assert_eq!(call(&mut vm, known()).1, "permitted");
    }
    vm.advance(Duration::from_millis(100)).unwrap();
    let asked = to(&vm, "pdp").remove(0).token;
    vm.fail_http_call(asked).unwrap();
    assert_eq!(counted(&vm, "not_compared"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_envoy_the_control_plane_answers() {
    let stage = Stage::set().await;
    let platform = &stage.platform;
    let (request, _) = moves::system_user_of(platform, ROERLEGGER, Wanted::VatAndAnnualAccounts).await.unwrap();
    platform.api_provider.register(&["altinn:authorization/authorize"]).await.unwrap();
    let asker = platform.api_provider.organization_token("altinn:authorization/authorize").await.unwrap().unwrap();

    let folder = tempfile::tempdir().unwrap();
    // Its snapshot knows other system users than the platform.
    let elsewhere = FaultyControlPlane::start().await.unwrap();
    let sample_api = SampleApi::start().await.unwrap();
    let mut filter_configuration = wasm::filter_configuration().unwrap();
    filter_configuration["remotePdp"] = json!({"cluster": "pdp", "authority": "pdp", "millisecondsMax": 10_000,
        "headers": {"authorization": format!("Bearer {}", asker.access_token)},
        "routes": {"vat-returns": ["system_user"]}, "compareOneIn": 1});
    let settings = EnvoySettings {
        program: platform.programs.envoy.clone(),
        filter_wasm: platform.programs.filter_wasm.clone(),
        filter_configuration,
        port: 0,
        workers: 2,
        control_plane: elsewhere.address(),
        sample_api: sample_api.address(),
        directory: folder.path().to_owned(),
    };
    let told = Envoy::with_cluster(Envoy::bootstrap(&settings), "pdp", platform.control_plane.address()).unwrap();
    let envoy = Envoy::start_with(&settings, &told).await.unwrap();
    let http = loopback_client().unwrap();
    let call = async |claims: Value, party: &str| {
        let mut claims = claims;
        claims["exp"] = json!({"now": 600});
        let spec: TokenSpec = serde_json::from_value(json!({ "claims": claims })).unwrap();
        let url = format!("{}/vat/{party}/returns", envoy.base_url());
        let call = http.get(url).header("host", "api.example.no").header("connection", "close");
        let answer = call.bearer_auth(mint(&spec, now()).unwrap()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    // Both workers have the snapshot then: calls that wait for it are not asked about.
    wait::until("the first snapshot", BOUND, async || {
        assert_eq!(call(json!({}), ROERLEGGER.number).await.0, 200);
        let applied: u64 = envoy.stats("wasmcustom.portvakt.snapshot.applied").await?.values().sum();
        Ok((applied >= 3).then_some(()))
    })
    .await
    .unwrap();
    for _ in 0..6 {
        let (status, body) = call(claims_of(&request.id), ROERLEGGER.number).await;
        assert_eq!(status, 200, "{body}");
        assert!(body.contains(&request.id), "the API is told who calls: {body}");
        let (status, body) = call(claims_of(&request.id), "310247065").await;
        assert_eq!((status, body.contains("remote_pdp_denies")), (403, true), "{body}");
    }
    let asked: u64 = envoy.stats("portvakt.remote_pdp.asked").await.unwrap().values().sum();
    assert!((2..=4).contains(&asked), "{asked}: each worker remembers what was answered");
    // What the snapshot permits the platform would refuse: it has no such system user.
    wait::until("a decision to be compared", BOUND, async || {
        assert_eq!(call(json!({}), ROERLEGGER.number).await.0, 200);
        let differing: u64 = envoy.stats("portvakt.remote_pdp.permit_to_deny").await?.values().sum();
        Ok((differing > 0).then_some(()))
    })
    .await
    .unwrap();
}
