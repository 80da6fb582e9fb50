//! A chosen few cases again, in a real Envoy.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gateway_tests::cases::envoy::CaseEnvoy;
use gateway_tests::cases::{self, Case, HostKind, Report};

fn named(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run this through `cargo xtask test`")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chosen_cases() {
    let (program, filter_wasm) = (named("ENVOY_BIN"), named("FILTER_WASM_PATH"));
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases::for_host(HostKind::Envoy).unwrap() {
        groups.entry(format!("{:?}", case.published)).or_default().push(case);
    }
    let mut report = Report::default();
    for group in groups.into_values() {
        let folder = tempfile::tempdir().unwrap();
        let envoy = CaseEnvoy::start(&program, &filter_wasm, &group[0].published, folder.path()).await.unwrap();
        for case in group {
            let outcome = envoy.run(&case).await;
            report.note(&case, outcome);
        }
    }
    assert!(report.finish().unwrap() >= 30);
}
