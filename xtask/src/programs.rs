//! Builds the native programs that the tests and the demo start, and finds where cargo put them.

use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was built.
#[derive(Default)]
pub(crate) struct Programs {
    by_name: BTreeMap<String, PathBuf>,
    /// The program with the control plane's own tests, which run on each of its databases.
    pub(crate) control_plane_tests: Option<PathBuf>,
}

/// What is built along with the programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the demo starts.
    Programs,
    /// The whole workspace with its tests, in the same selection of features that the test run uses: nothing is built twice.
    ProgramsAndTests,
    /// What runs the attack table.
    Attacks,
    /// What measures the decision engine beside its peers, optimised.
    Bench,
    /// What measures the control plane, and the control plane, optimised.
    ControlPlaneBench,
}

impl Programs {
    pub(crate) const CONTROL_PLANE: &str = "control-plane";
    pub(crate) const MASKINPORTEN_STANDIN: &str = "maskinporten-standin";
    pub(crate) const DEMO: &str = "portvakt-demo";
    pub(crate) const ATTACKS: &str = "portvakt-attacks";
    pub(crate) const BENCH: &str = "portvakt-bench";
    pub(crate) const CONTROL_PLANE_BENCH: &str = "portvakt-bench-control-plane";

    pub(crate) fn path(&self, name: &str) -> Result<&PathBuf> {
        self.by_name.get(name).with_context(|| format!("the workspace has no program `{name}`"))
    }
}

/// Builds; cargo's own progress is visible.
pub(crate) fn build(scope: Scope, offline: bool) -> Result<Programs> {
    run::step(match scope {
        Scope::Programs => {
            "building the control plane, the stand-in Maskinporten and the demo (first time: some minutes)"
        }
        Scope::ProgramsAndTests => "building the programs and every test (first time: some ten minutes on 2 cores)",
        Scope::Attacks => "building what attacks (first time: some minutes)",
        Scope::Bench => "building what measures, and the peers, optimised (first time: some ten minutes on 2 cores)",
        Scope::ControlPlaneBench => {
            "building the control plane and what measures it, optimised (first time: some minutes)"
        }
    });
    let mut command = run::cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    match scope {
        // Without the host on wasmtime, which only tests need and which takes minutes to compile.
        Scope::Programs => command
            .args(["--package", "control-plane", "--package", "gateway-tests"])
            .args(["--bins", "--no-default-features"]),
        Scope::ProgramsAndTests => command.args(["--workspace", "--bins", "--tests"]),
        Scope::Attacks => command.args(["--package", "gateway-tests", "--bin", Programs::ATTACKS]),
        Scope::Bench => command.args(["--release", "--package", "gateway-tests"]).args([
            "--bin",
            Programs::BENCH,
            "--features",
            "bench",
        ]),
        Scope::ControlPlaneBench => command
            .args(["--release", "--package", "gateway-tests", "--package", "control-plane"])
            .args(["--bin", Programs::CONTROL_PLANE_BENCH, "--bin", Programs::CONTROL_PLANE])
            .args(["--no-default-features", "--features", "gateway-tests/bench-control-plane"]),
    };
    if offline {
        command.arg("--offline");
    }
    let (status, messages) = run::reading(&mut command)?;
    if !status.success() {
        bail!("the native programs could not be built (cargo ended with {})", run::exit_words(status));
    }
    Ok(executables(&messages))
}

/// The programs among cargo's messages (one JSON object a line); of test programs only the control plane's own.
fn executables(messages: &str) -> Programs {
    let mut programs = Programs::default();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for Executable { name, kind, is_test, path } in messages.filter_map(|message| executable(&message)) {
        match (kind.as_str(), is_test) {
            ("bin", false) => _ = programs.by_name.insert(name, path),
            ("lib", true) if name == "control_plane" => programs.control_plane_tests = Some(path),
            _ => {}
        }
    }
    programs
}

struct Executable {
    name: String,
    kind: String,
    is_test: bool,
    path: PathBuf,
}

fn executable(message: &Value) -> Option<Executable> {
    let target = message.get("target")?;
    Some(Executable {
        name: target.get("name")?.as_str()?.to_owned(),
        kind: target.get("kind")?.as_array()?.first()?.as_str()?.to_owned(),
        is_test: message.get("profile")?.get("test")?.as_bool()?,
        path: message.get("executable")?.as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_are_taken() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"x"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"portvakt-demo"},"profile":{"test":true},"executable":"/t/deps/portvakt_demo-1"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"portvakt-demo"},"profile":{"test":false},"executable":"/t/portvakt-demo"}
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"control_plane"},"profile":{"test":true},"executable":"/t/deps/control_plane-1"}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"all"},"profile":{"test":true},"executable":"/t/deps/all-1"}
not json
{"reason":"build-finished","success":true}"#;
        let expected = BTreeMap::from([("portvakt-demo".to_owned(), PathBuf::from("/t/portvakt-demo"))]);
        let programs = executables(messages);
        assert_eq!(programs.by_name, expected);
        assert_eq!(programs.control_plane_tests, Some(PathBuf::from("/t/deps/control_plane-1")));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Programs::default().path(Programs::DEMO).unwrap_err();
        assert_eq!(error.to_string(), "the workspace has no program `portvakt-demo`");
    }
}
