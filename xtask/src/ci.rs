//! `cargo xtask ci`: what a change must pass, one local command after the other.
//!
//! Every step runs even when an earlier one failed, so that one run tells everything. The last line is the counts of the
//! tests; a step that failed counts as one failure there.

use crate::SupplyOptions;
use crate::counts::Counts;
use crate::demo::{self, DemoOptions};
use crate::run;
use crate::test::{self, Outcome, TestOptions};
use anyhow::{Result, bail};
use clap::Args;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct CiOptions {
    #[command(flatten)]
    supplies: SupplyOptions,
}

/// The verb.
pub(crate) fn run(options: &CiOptions) -> Result<ExitCode> {
    let mut report = Report::default();
    report.time("format", || cargo(&["fmt", "--all", "--check"], &[], "`cargo fmt --all` puts it right"));
    report.time("clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        cargo(&arguments, &[], "see the messages above; `rustup component add clippy` if it is missing")
    });
    report.time("docs", || {
        let arguments = ["doc", "--workspace", "--no-deps", "--locked"];
        cargo(&arguments, &[("RUSTDOCFLAGS", "-D warnings")], "see the messages above")
    });

    let started = Instant::now();
    let test_options = TestOptions { deny_skips: true, native_only: false, supplies: options.supplies };
    let tests = test::perform(&test_options)?;
    report.add("test", started.elapsed(), tests.succeeded);
    report.remarks.extend(tests.remarks.iter().cloned());

    report.time("demo --check", || play_demo(options, &tests));
    println!("{}", report.closing(tests.counts));
    Ok(if report.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Report {
    steps: Vec<(&'static str, Duration, bool)>,
    remarks: Vec<String>,
}

impl Report {
    fn time(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) {
        run::step(name);
        let started = Instant::now();
        let result = step();
        self.add(name, started.elapsed(), result.is_ok());
        if let Err(error) = result {
            eprintln!("error: {name}: {error:#}");
            self.remarks.push(format!("{name}: {error:#}"));
        }
    }

    fn add(&mut self, name: &'static str, duration: Duration, succeeded: bool) {
        self.steps.push((name, duration, succeeded));
    }

    fn succeeded(&self) -> bool {
        self.steps.iter().all(|(_, _, succeeded)| *succeeded)
    }

    /// Time and outcome of every step, remarks, and the counts as the last line.
    fn closing(&self, mut counts: Counts) -> String {
        let mut text = String::from("\n");
        for (name, duration, succeeded) in &self.steps {
            let word = if *succeeded { "ok" } else { "FAILED" };
            text.push_str(&format!("{name:<14}{:>14}  {word}\n", run::duration_words(*duration)));
            // The tests have counted their own failures.
            if !succeeded && *name != "test" {
                counts.failed += 1;
            }
        }
        for remark in &self.remarks {
            text.push_str(&format!("note: {remark}\n"));
        }
        text + &counts.to_string()
    }
}

fn cargo(arguments: &[&str], variables: &[(&str, &str)], cure: &str) -> Result<()> {
    let mut command = run::cargo();
    run::loudly(command.args(arguments).envs(variables.iter().copied())).map_err(|error| error.context(cure.to_owned()))
}

fn play_demo(options: &CiOptions, tests: &Outcome) -> Result<()> {
    let (Some(filter), Some(envoy), Some(programs)) = (&tests.filter, &tests.envoy, &tests.programs) else {
        bail!("not played, because the filter, Envoy or the programs are missing (see the tests)");
    };
    let demo_options = DemoOptions::for_check(options.supplies);
    let mut command = demo::command(&demo_options, &filter.path, &envoy.program, programs)?;
    let status = command.stdin(Stdio::null()).status()?;
    if !status.success() {
        bail!("the demo ended with {}", run::exit_words(status));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_counts_and_a_failed_step_is_in_it() {
        let mut report = Report::default();
        report.add("format", Duration::from_secs(2), false);
        report.add("test", Duration::from_secs(100), true);
        let text = report.closing(Counts { passed: 7, failed: 0, skipped: 0 });
        assert_eq!(text.lines().last(), Some("7 passed, 1 failed, 0 skipped"));
        assert!(text.contains("format                 2.0 s  FAILED"), "{text}");
        assert!(!report.succeeded());
    }

    #[test]
    fn failed_tests_are_not_counted_twice() {
        let mut report = Report::default();
        report.add("test", Duration::from_secs(100), false);
        let text = report.closing(Counts { passed: 7, failed: 2, skipped: 0 });
        assert_eq!(text.lines().last(), Some("7 passed, 2 failed, 0 skipped"));
    }
}
