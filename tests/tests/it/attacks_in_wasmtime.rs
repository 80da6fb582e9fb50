//! The attack table in wasmtime: every row that a proxy need not be there for.

use gateway_tests::attacks::{self, Place};
use gateway_tests::proxy_host::ProxyHost;

#[test]
fn every_row_is_as_it_must_be() {
    let host = ProxyHost::from_environment().unwrap();
    let rows = attacks::rows().unwrap();
    assert_eq!(rows.len(), 50);
    let mut answers = attacks::run_in_wasmtime(&rows, &host).unwrap();
    answers.extend(attacks::run_state_in_wasmtime(&host).unwrap());
    let mistakes = answers.mistakes(&rows, &[Place::Wasmtime]);
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
