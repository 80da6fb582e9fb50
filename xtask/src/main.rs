//! The project's own commands: `cargo xtask demo`, `cargo xtask test` and what they are made of.
//!
//! Needs nothing but cargo, python3 and what it finds or installs; every missing thing is named with its cure. It never
//! writes outside `target/`, `.cache/` and the folder for temporary files unless `--install` is given. One file per verb: [`demo`], [`mod@test`],
//! [`doctor`], [`build_filter`], [`attacks`], [`mod@bench`], [`ci`]. What they look for: [`toolchain`], [`envoy`] and [`postgres`], through the eyes of [`probe`];
//! how they start other programs: [`run`]. What becomes of the filter after it is built: [`callbacks`],
//! [`details`].

mod attacks;
mod bench;
mod build_filter;
mod callbacks;
mod ci;
mod conformance;
mod counts;
mod demo;
mod details;
mod doctor;
mod envoy;
mod headers;
mod install;
mod module;
mod postgres;
mod probe;
mod programs;
mod run;
mod test;
mod toolchain;
mod version;

use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;

/// Build, show and check Portvakt.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Invocation {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Play the whole story in front of a real Envoy and leave it running
    Demo(demo::DemoOptions),
    /// Run every test; ends with `N passed, N failed, N skipped`
    Test(test::TestOptions),
    /// Say what was found on this machine, what is missing and how to get it; changes nothing
    Doctor,
    /// Build the filter module that gateways load
    Build(build_filter::BuildOptions),
    /// Decide cases that others wrote, and say where our answers differ
    Conformance(conformance::ConformanceOptions),
    /// Put the attack table to the filter, in wasmtime and in Envoy, and to Envoy's own `jwt_authn`
    Attacks(attacks::AttacksOptions),
    /// Measure; prints a table and lines `figure NAME VALUE UNIT`. No time ever fails it
    Bench(bench::BenchOptions),
    /// Everything a change must pass: format, clippy, docs, tests without skips, the demo
    Ci(ci::CiOptions),
}

/// How far a command may go to get what is missing.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct SupplyOptions {
    /// Download nothing: use what is here or say what is missing
    #[arg(long)]
    pub(crate) offline: bool,
    /// Install missing Debian packages (needs root)
    #[arg(long)]
    pub(crate) install: bool,
}

fn main() -> ExitCode {
    let outcome = match Invocation::parse().verb {
        Verb::Demo(options) => demo::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Doctor => doctor::run(),
        Verb::Build(options) => build_filter::run(&options),
        Verb::Conformance(options) => conformance::run(&options),
        Verb::Attacks(options) => attacks::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::Ci(options) => ci::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
