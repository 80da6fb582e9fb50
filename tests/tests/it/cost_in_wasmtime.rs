//! What a call costs its host: how often the filter asks the host for something, and how much it computes. Neither is
//! a time, so both are the same on every machine; what they come to in a gateway `cargo xtask bench gateway` measures.

use std::time::Duration;

use gateway_tests::cases::{Case, publish_all, wasm};
use gateway_tests::proxy_host::{HostOptions, ProxyHost, Vm};
use serde_json::json;

use crate::filter_in_wasmtime::now;

/// What each may compute, in instructions of WebAssembly: a tenth above what it is.
const KNOWN_INSTRUCTIONS_MAX: u64 = 17_000;
const FIRST_SIGHT_INSTRUCTIONS_MAX: u64 = 103_600;
const DENIAL_INSTRUCTIONS_MAX: u64 = 24_300;
/// … where the host cannot verify: RS256 in Rust, 2048 bits, takes as many as PS256.
const PS256_INSTRUCTIONS_MAX: u64 = 24_700_000;
const EDDSA_INSTRUCTIONS_MAX: u64 = 3_900_000;

/// A worker with a policy, whose configuration is what a provider begins with.
fn start() -> Vm {
    start_with("walk", HostOptions::default())
}

fn start_with(document: &str, options: HostOptions) -> Vm {
    let mut configuration = wasm::filter_configuration().unwrap();
    configuration.as_object_mut().unwrap().remove("identityHeaders");
    let options = HostOptions {
        now_unix_nanos: now().unix_millis() as u64 * 1_000_000,
        log_level: gateway_tests::proxy_host::LogLevel::Info,
        ..options
    };
    let mut vm = ProxyHost::from_environment().unwrap().start(&configuration.to_string(), options).unwrap();
    vm.advance(Duration::from_millis(100)).unwrap();
    let published =
        publish_all(&[serde_json::from_value(json!({"document": document})).unwrap()], now()).unwrap().remove(0);
    let token = vm.pending_http_calls().first().expect("the filter polls").token;
    vm.answer_http_call(token, 200, &[], &published.body).unwrap();
    vm
}

fn call(path: &str) -> Vec<(String, String)> {
    call_with(path, json!({}))
}

fn call_with(path: &str, token: serde_json::Value) -> Vec<(String, String)> {
    let case = json!({"proves": "-", "call": {"path": path, "token": token},
        "expect": {"deny": {"reason": "-", "status": 0}}});
    serde_json::from_value::<Case>(case).unwrap().headers(now()).unwrap()
}

/// What a call asks of its host, and what it computes, in instructions.
fn cost(vm: &mut Vm, headers: &[(String, String)]) -> (Vec<&'static str>, u64) {
    let stream = vm.open_stream().unwrap();
    let mut instructions = vm.fuel_used();
    vm.request_headers(stream, headers.to_vec(), true).unwrap();
    let asked = vm.host_calls().to_vec();
    instructions += vm.fuel_used();
    vm.close_stream(stream).unwrap();
    (asked, instructions + vm.fuel_used())
}

#[test]
fn a_permitted_call_reads_all_headers_at_once_and_writes_one() {
    let mut vm = start();
    let headers = call("/vat/310247049/returns");
    let (first_sight, first_instructions) = cost(&mut vm, &headers);
    let (known, instructions) = cost(&mut vm, &headers);
    assert!(first_instructions <= FIRST_SIGHT_INSTRUCTIONS_MAX, "{first_instructions} at first sight");
    assert!(instructions <= KNOWN_INSTRUCTIONS_MAX, "{instructions} for a token that is known");
    assert_eq!(
        first_sight,
        [
            "proxy_get_header_map_pairs",
            "proxy_get_current_time_nanoseconds",
            "proxy_call_foreign_function",
            "proxy_add_header_map_value",
        ]
    );
    assert_eq!(
        known,
        ["proxy_get_header_map_pairs", "proxy_get_current_time_nanoseconds", "proxy_add_header_map_value"]
    );
}

#[test]
fn one_decision_in_a_tick_is_timed_and_costs_the_others_nothing() {
    let mut vm = start();
    let headers = call("/vat/310247049/returns");
    cost(&mut vm, &headers);
    let times = |vm: &Vm| vm.histogram("portvakt.decision.time_us").len();
    assert_eq!(times(&vm), 0, "no tick has seen a decision yet");
    vm.advance(Duration::from_millis(100)).unwrap();
    let (timed, _) = cost(&mut vm, &headers);
    let (not_timed, _) = cost(&mut vm, &headers);
    assert_eq!((times(&vm), not_timed.len()), (1, 3), "{timed:?} {not_timed:?}");
    vm.advance(Duration::from_millis(200)).unwrap();
    cost(&mut vm, &headers);
    assert_eq!(times(&vm), 1, "there was no decision before the last tick");
    vm.advance(Duration::from_secs(5)).unwrap();
    assert!(vm.histogram("portvakt.snapshot.worker_age_ms").len() <= 6);
    assert!(vm.histogram("portvakt.snapshot.worker_age_ms").len() >= 5);
}

/// README.md of the filter says what these cost.
#[test]
fn what_no_host_verifies_has_its_price() {
    let first_sight = |key: &str| {
        let mut vm = start_with("walk-algorithms", HostOptions { verify_signature: false, ..HostOptions::default() });
        // Whatever is done once for all keys.
        let token = |key: &str| json!({"key": key, "claims": {"iss": "https://algorithms.example/"}});
        cost(&mut vm, &call("/vat/310247049/returns"));
        cost(&mut vm, &call_with("/vat/310247049/returns", token(key))).1
    };
    let (ps256, eddsa) = (first_sight("pss-listed"), first_sight("ed25519-listed"));
    assert!(ps256 <= PS256_INSTRUCTIONS_MAX && eddsa <= EDDSA_INSTRUCTIONS_MAX, "PS256 {ps256}, EdDSA {eddsa}");
}

#[test]
fn a_wrong_signature_is_verified_once() {
    let mut vm = start();
    let right = call("/vat/310247049/returns");
    // One character in the middle of the signature is another.
    let changed = |from: char| {
        let mut headers = right.clone();
        let (_, token) = headers.iter_mut().find(|(name, _)| name == "authorization").unwrap();
        let place = token.rfind('.').unwrap() + 20;
        let to = if token.as_bytes()[place] == from as u8 { 'B' } else { from };
        token.replace_range(place..=place, &to.to_string());
        headers
    };
    let mut is_verified = |headers: &[(String, String)]| {
        let (asked, _) = cost(&mut vm, headers);
        asked.contains(&"proxy_call_foreign_function")
    };
    assert_eq!([changed('A'), changed('A'), changed('A')].map(|headers| is_verified(&headers)), [true, false, false]);
    assert!(is_verified(&changed('_')), "another token");
    assert!(is_verified(&right) && !is_verified(&right), "the right one is not taken for it");
    assert!(!is_verified(&changed('A')));
}

#[test]
fn a_denial_reads_all_headers_at_once_and_is_told_with_the_tick() {
    let mut vm = start();
    let headers = call("/vat/310247057/returns");
    cost(&mut vm, &headers);
    let (asked, instructions) = cost(&mut vm, &headers);
    assert!(instructions <= DENIAL_INSTRUCTIONS_MAX, "{instructions} for a denial");
    assert_eq!(
        asked,
        ["proxy_get_header_map_pairs", "proxy_get_current_time_nanoseconds", "proxy_send_local_response"]
    );
    assert_eq!(lines_about_denials(&vm), 0);
    vm.advance(Duration::from_millis(100)).unwrap();
    assert_eq!(lines_about_denials(&vm), 2);
}

fn lines_about_denials(vm: &Vm) -> usize {
    vm.logs().iter().filter(|line| line.message.starts_with("denied denial.reason=")).count()
}

/// README.md of the filter says so many are written in a second.
#[test]
fn a_flood_of_denials_does_not_flood_the_log() {
    let mut vm = start();
    vm.advance(Duration::from_secs(2)).unwrap();
    let headers = call("/vat/310247057/returns");
    let left_out = |vm: &Vm| {
        vm.logs().iter().filter_map(|line| line.message.split_once(" lines=")?.1.parse::<u64>().ok()).sum::<u64>()
    };
    for (denials, written, not_written) in [(100, 100, 0), (105, 200, 5), (0, 200, 5), (3, 203, 5)] {
        for _ in 0..denials {
            cost(&mut vm, &headers);
        }
        vm.advance(Duration::from_secs(1)).unwrap();
        assert_eq!((lines_about_denials(&vm), left_out(&vm)), (written, not_written));
    }
    assert_eq!(vm.metric("portvakt.denied.party_not_represented"), Some(208));
}
