//! The attack table in a real Envoy, under three ways of normalising paths; and that the README shows it as it is.

use std::path::PathBuf;

use gateway_tests::attacks;

fn named(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run this through `cargo xtask test`")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_as_it_must_be_and_as_it_is_published() {
    let rows = attacks::rows().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (program, filter_wasm) = (named("ENVOY_BIN"), named("FILTER_WASM_PATH"));
    let (answers, mistakes) = attacks::run_all(&rows, &program, &filter_wasm, folder.path()).await.unwrap();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    let table = attacks::table(&rows, &answers);
    assert_eq!(
        attacks::published().unwrap(),
        table,
        "`cargo xtask attacks --write` writes the table that was measured"
    );
}
