//! Builds the native programs that the tests and the demo start, and finds where cargo put them.

use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Programs by name.
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

/// What is built along with the programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the demo starts.
    Programs,
    /// The whole workspace with its tests, in the same selection of features that the test run uses: nothing is built twice.
    ProgramsAndTests,
    /// What measures the decision engine beside its peers, optimised.
    Bench,
}

impl Programs {
    pub(crate) const CONTROL_PLANE: &str = "control-plane";
    pub(crate) const MASKINPORTEN_STANDIN: &str = "maskinporten-standin";
    pub(crate) const DEMO: &str = "portvakt-demo";
    pub(crate) const BENCH: &str = "portvakt-bench";

    pub(crate) fn path(&self, name: &str) -> Result<&PathBuf> {
        self.0.get(name).with_context(|| format!("the workspace has no program `{name}`"))
    }
}

/// Builds; cargo's own progress is visible.
pub(crate) fn build(scope: Scope, offline: bool) -> Result<Programs> {
    run::step(match scope {
        Scope::Programs => {
            "building the control plane, the stand-in Maskinporten and the demo (first time: some minutes)"
        }
        Scope::ProgramsAndTests => "building the programs and every test (first time: some ten minutes on 2 cores)",
        Scope::Bench => "building what measures, and the peers, optimised (first time: some ten minutes on 2 cores)",
    });
    let mut command = run::cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    match scope {
        // Without the host on wasmtime, which only tests need and which takes minutes to compile.
        Scope::Programs => command
            .args(["--package", "control-plane", "--package", "gateway-tests"])
            .args(["--bins", "--no-default-features"]),
        Scope::ProgramsAndTests => command.args(["--workspace", "--bins", "--tests"]),
        Scope::Bench => command.args(["--release", "--package", "gateway-tests"]).args([
            "--bin",
            Programs::BENCH,
            "--features",
            "bench",
        ]),
    };
    if offline {
        command.arg("--offline");
    }
    let (status, messages) = run::reading(&mut command)?;
    if !status.success() {
        bail!("the native programs could not be built (cargo ended with {})", run::exit_words(status));
    }
    Ok(Programs(executables(&messages)))
}

/// The programs among cargo's messages (one JSON object a line); test programs are left out.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| executable(&message)).collect()
}

fn executable(message: &Value) -> Option<(String, PathBuf)> {
    let target = message.get("target")?;
    let is_program = target.get("kind")?.as_array()?.iter().any(|kind| kind == "bin");
    let is_test = message.get("profile")?.get("test")?.as_bool()?;
    let path = message.get("executable")?.as_str()?;
    (is_program && !is_test).then(|| Some((target.get("name")?.as_str()?.to_owned(), path.into())))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_are_taken() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"x"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"portvakt-demo"},"profile":{"test":true},"executable":"/t/deps/portvakt_demo-1"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"portvakt-demo"},"profile":{"test":false},"executable":"/t/portvakt-demo"}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"all"},"profile":{"test":true},"executable":"/t/deps/all-1"}
not json
{"reason":"build-finished","success":true}"#;
        let expected = BTreeMap::from([("portvakt-demo".to_owned(), PathBuf::from("/t/portvakt-demo"))]);
        assert_eq!(executables(messages), expected);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Programs(BTreeMap::new()).path(Programs::DEMO).unwrap_err();
        assert_eq!(error.to_string(), "the workspace has no program `portvakt-demo`");
    }
}
