//! Every case again, put to the module that gateways load, in wasmtime.

use gateway_tests::cases::{self, HostKind, Report, wasm};
use gateway_tests::proxy_host::ProxyHost;

fn every_case(verify_signature: bool) {
    let host = ProxyHost::from_environment().unwrap();
    let mut report = Report::default();
    for case in cases::for_host(HostKind::Wasmtime).unwrap() {
        report.note(&case, wasm::run(&case, &host, verify_signature));
    }
    report.finish().unwrap();
}

#[test]
fn every_case_where_the_host_verifies() {
    every_case(true);
}

#[test]
fn every_case_where_the_host_cannot_verify() {
    every_case(false);
}
