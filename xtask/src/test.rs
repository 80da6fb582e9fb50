//! `cargo xtask test`: every test of the workspace, in every host.
//!
//! The tests find their hosts through `FILTER_WASM_PATH`, `ENVOY_BIN`, `CONTROL_PLANE_BIN`, `MASKINPORTEN_STANDIN_BIN` and
//! `POSTGRES_URL`. A host that cannot be had leaves its tests out by name (`in_envoy`, `in_wasmtime`, `on_postgres` in the
//! path of the test), counted as skipped: never passed in silence. The control plane's own tests run once on SQLite and
//! once on PostgreSQL.

use crate::SupplyOptions;
use crate::build_filter::{self, BuildError, FilterModule};
use crate::counts::{self, Counts};
use crate::envoy::{self, Envoy};
use crate::postgres;
use crate::probe::{Machine, ThisMachine};
use crate::programs::{self, Programs, Scope};
use crate::run;
use crate::toolchain;
use anyhow::{Context, Result};
use clap::Args;
use std::process::{Command, ExitCode, ExitStatus};

#[derive(Args, Default)]
pub(crate) struct TestOptions {
    /// A skipped test is a failure
    #[arg(long)]
    pub(crate) deny_skips: bool,
    /// Leave out the tests that need the built filter or Envoy
    #[arg(long, conflicts_with = "deny_skips")]
    pub(crate) native_only: bool,
    #[command(flatten)]
    pub(crate) supplies: SupplyOptions,
}

/// What a run gave, and what it built on the way.
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// What went wrong or was left out, one line each.
    pub(crate) remarks: Vec<String>,
    pub(crate) succeeded: bool,
    pub(crate) filter: Option<FilterModule>,
    pub(crate) envoy: Option<Envoy>,
    pub(crate) programs: Option<Programs>,
}

/// The verb; its last line is the counts.
pub(crate) fn run(options: &TestOptions) -> Result<ExitCode> {
    let outcome = perform(options)?;
    for remark in &outcome.remarks {
        eprintln!("note: {remark}");
    }
    println!("{}", outcome.counts);
    Ok(if outcome.succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs everything, without the closing line.
pub(crate) fn perform(options: &TestOptions) -> Result<Outcome> {
    let mut tally = Tally::default();
    let filter = filter_module(options, &mut tally);
    let envoy = if filter.is_some() { real_envoy(options, &mut tally) } else { None };
    let programs = match programs::build(Scope::ProgramsAndTests, options.supplies.offline) {
        Ok(programs) => Some(programs),
        Err(error) => {
            tally.failure(format!("no test was run: {error:#}"));
            None
        }
    };
    if let Some(programs) = &programs {
        let postgres = postgres_server(options, &mut tally);
        let hosts = Hosts { filter: filter.as_ref(), envoy: envoy.as_ref(), postgres, programs };
        run_tests(&hosts, options.supplies.offline, &mut tally)?;
    }
    if tally.counts.passed == 0 && tally.counts.failed == 0 {
        tally.failure("no test was run at all".to_owned());
    }
    let skipped = options.deny_skips && tally.counts.skipped > 0;
    if skipped {
        tally.remarks.push(format!("{} skipped, and --deny-skips is given", tally.counts.skipped));
    }
    Ok(Outcome {
        succeeded: tally.counts.failed == 0 && !skipped,
        counts: tally.counts,
        remarks: tally.remarks,
        filter,
        envoy,
        programs,
    })
}

#[derive(Default)]
struct Tally {
    counts: Counts,
    remarks: Vec<String>,
    /// Suites that were left out before any runner could count their tests.
    suites_left_out: u64,
}

impl Tally {
    fn failure(&mut self, remark: String) {
        self.counts.failed += 1;
        self.remarks.push(remark);
    }

    fn left_out(&mut self, suites: u64, remark: String) {
        self.suites_left_out += suites;
        self.remarks.push(remark);
    }

    /// A host that somebody named by a variable and that is not there is a mistake; any other is a gap of the machine.
    fn host_missing(&mut self, suites: u64, variable: &str, remark: String) {
        if ThisMachine.variable(variable).is_some() {
            self.failure(remark);
        } else {
            self.left_out(suites, remark);
        }
    }

    /// Adds what a runner printed; a runner that fails without a failed test, or says nothing, is a failure itself.
    fn add(&mut self, name: &str, status: ExitStatus, counts: Option<Counts>) {
        let counts = counts.unwrap_or_default();
        self.counts += counts;
        if !status.success() && counts.failed == 0 {
            self.failure(format!("{name} ended with {} and named no failed test", run::exit_words(status)));
        }
    }
}

struct Hosts<'a> {
    filter: Option<&'a FilterModule>,
    envoy: Option<&'a Envoy>,
    postgres: Option<postgres::Server>,
    programs: &'a Programs,
}

impl Hosts<'_> {
    /// Parts of test paths that cannot run.
    fn left_out(&self) -> Vec<&'static str> {
        let hosts = [
            ("in_envoy", self.filter.is_some() && self.envoy.is_some()),
            ("in_wasmtime", self.filter.is_some()),
            ("on_postgres", self.postgres.is_some()),
        ];
        hosts.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect()
    }

    fn name_to(&self, command: &mut Command) {
        let path = |name| self.programs.path(name).ok().cloned();
        for (variable, value) in [
            ("FILTER_WASM_PATH", self.filter.map(|filter| filter.path.clone())),
            ("ENVOY_BIN", self.envoy.map(|envoy| envoy.program.clone())),
            ("CONTROL_PLANE_BIN", path(Programs::CONTROL_PLANE)),
            ("MASKINPORTEN_STANDIN_BIN", path(Programs::MASKINPORTEN_STANDIN)),
            (postgres::URL, self.postgres.as_ref().map(|server| server.url().into())),
            (postgres::NAMED, self.postgres.as_ref().map(|server| server.programs().to_owned())),
        ] {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
    }
}

fn filter_module(options: &TestOptions, tally: &mut Tally) -> Option<FilterModule> {
    if options.native_only {
        tally.left_out(2, "the tests in wasmtime and in Envoy were left out, because of --native-only".to_owned());
        return None;
    }
    match build_filter::build(options.supplies) {
        Ok(filter) => {
            eprintln!("{filter}");
            Some(filter)
        }
        Err(BuildError::NoToolchain(missing)) => {
            let remark = format!("the tests in wasmtime and in Envoy were left out: {missing}");
            tally.host_missing(2, toolchain::PREBUILT, remark);
            None
        }
        Err(BuildError::Failed(error)) => {
            tally.failure(format!("the tests in wasmtime and in Envoy were left out: {error:#}"));
            None
        }
    }
}

fn real_envoy(options: &TestOptions, tally: &mut Tally) -> Option<Envoy> {
    match envoy::obtain(&ThisMachine, options.supplies) {
        Ok(envoy) => {
            eprintln!("gateway    {envoy}");
            Some(envoy)
        }
        Err(missing) => {
            let remark = format!("the tests in Envoy were left out: {missing}");
            tally.host_missing(1, envoy::NAMED, remark);
            None
        }
    }
}

/// Two suites: the control plane's own tests once more, and the tests of several control planes on one database.
fn postgres_server(options: &TestOptions, tally: &mut Tally) -> Option<postgres::Server> {
    let programs = match postgres::obtain(&ThisMachine, options.supplies) {
        Ok(programs) => programs,
        Err(missing) => {
            let remark = format!("the tests on PostgreSQL were left out: {missing}");
            tally.host_missing(2, postgres::NAMED, remark);
            return None;
        }
    };
    match postgres::Server::start(&programs) {
        Ok(server) => Some(server),
        Err(error) => {
            tally.failure(format!("the tests on PostgreSQL were left out: {error:#}"));
            None
        }
    }
}

fn run_tests(hosts: &Hosts<'_>, offline: bool, tally: &mut Tally) -> Result<()> {
    let skipped_before = tally.counts.skipped;
    let mut command = run::cargo();
    let nextest = has_nextest();
    if nextest {
        run::step("running the tests with nextest");
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        run::step("running the tests with `cargo test` (with nextest installed they are quicker and read better)");
        command.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    }
    if offline {
        command.arg("--offline");
    }
    hosts.name_to(&mut command);
    command.args(leave_out(&hosts.left_out(), nextest));
    let (status, output, errors) = run::showing(&mut command)?;
    let counts = if nextest { counts::from_nextest(&errors) } else { counts::from_libtest(&output) };
    tally.add("the test run", status, counts);
    // Suites without a test yet: left out all the same, so the closing line says so.
    let counted = tally.counts.skipped - skipped_before;
    tally.counts.skipped += tally.suites_left_out.saturating_sub(counted);

    if let Some(server) = &hosts.postgres {
        run::step("running the control plane's tests on PostgreSQL");
        let tests = hosts.programs.control_plane_tests.as_ref().context("the control plane's tests were not built")?;
        let mut command = Command::new(tests);
        command.current_dir(run::project_root().join("control-plane"));
        command.env(postgres::URL, server.url()).env("TEST_STORE", "postgres");
        let (status, output, _) = run::showing(&mut command)?;
        tally.add("the run on PostgreSQL", status, counts::from_libtest(&output));
    }

    run::step("running the examples in the documentation");
    let mut command = run::cargo();
    command.args(["test", "--doc", "--workspace", "--no-fail-fast"]);
    if offline {
        command.arg("--offline");
    }
    let (status, output, _) = run::showing(&mut command)?;
    tally.add("the run of the documentation's examples", status, counts::from_libtest(&output));
    Ok(())
}

/// The arguments that leave tests out by a part of their path, so that the runner counts them.
fn leave_out(parts: &[&str], nextest: bool) -> Vec<String> {
    if parts.is_empty() {
        return Vec::new();
    }
    if nextest {
        let terms: Vec<_> = parts.iter().map(|part| format!("test({part})")).collect();
        vec!["--filterset".to_owned(), format!("not ({})", terms.join(" | "))]
    } else {
        let terms = parts.iter().flat_map(|part| ["--skip".to_owned(), (*part).to_owned()]);
        std::iter::once("--".to_owned()).chain(terms).collect()
    }
}

fn has_nextest() -> bool {
    run::cargo().args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn suites_are_left_out_by_name() {
        assert_eq!(leave_out(&[], true), Vec::<String>::new());
        assert_eq!(leave_out(&["in_envoy"], true), ["--filterset", "not (test(in_envoy))"]);
        let both = ["--", "--skip", "in_envoy", "--skip", "in_wasmtime"];
        assert_eq!(leave_out(&["in_envoy", "in_wasmtime"], false), both);
    }

    #[test]
    fn a_runner_that_dies_is_a_failure() {
        let mut tally = Tally::default();
        tally.add("the test run", ExitStatus::from_raw(101 << 8), None);
        assert_eq!(tally.counts, Counts { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(tally.remarks, ["the test run ended with exit code 101 and named no failed test"]);
    }

    #[test]
    fn failed_tests_are_counted_once() {
        let mut tally = Tally::default();
        let counts = Counts { passed: 4, failed: 2, skipped: 1 };
        tally.add("the test run", ExitStatus::from_raw(100 << 8), Some(counts));
        assert_eq!(tally.counts, counts);
    }
}
