//! `cargo xtask bench engine`: the figures of the decision engine, in WebAssembly, beside those of its peers.
//!
//! Here things are built, and the machine is named; what is measured is in the crate `gateway-tests`, feature `bench`.

use crate::SupplyOptions;
use crate::build_filter;
use crate::programs::{self, Programs, Scope};
use crate::run;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::process::{Command, ExitCode};

#[derive(Args)]
pub(crate) struct BenchOptions {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The decision engine: snapshot, loading, look-ups, decisions, changes, and Cedar and regorus beside it
    Engine(EngineOptions),
}

#[derive(Args)]
struct EngineOptions {
    /// Fewer sizes and turns: under two minutes
    #[arg(long)]
    quick: bool,
    /// Rows (system user, party), instead of the usual sizes from 1,000 to 10,000,000
    #[arg(long, num_args = 1.., value_name = "N")]
    rows: Vec<u32>,
    /// Count instructions of a few decisions instead (needs valgrind)
    #[arg(long, conflicts_with_all = ["quick", "rows"])]
    instructions: bool,
    #[command(flatten)]
    supplies: SupplyOptions,
}

/// The verb; the exit code is the measuring program's.
pub(crate) fn run(options: &BenchOptions) -> Result<ExitCode> {
    let What::Engine(options) = &options.what;
    let mut command = if options.instructions {
        let mut command = bench_program(options)?;
        command.arg("instructions");
        command
    } else {
        let guest = build_filter::measuring_program(options.supplies)?;
        let mut command = bench_program(options)?;
        command.arg("engine").arg("--program").arg(guest);
        if options.quick {
            command.arg("--quick");
        }
        if !options.rows.is_empty() {
            command.arg("--rows").args(options.rows.iter().map(u32::to_string));
        }
        command
    };
    println!("{}", machine());
    let status = command.status().context("the measuring program could not be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bench_program(options: &EngineOptions) -> Result<Command> {
    let programs = programs::build(Scope::Bench, options.supplies.offline)?;
    let mut command = Command::new(programs.path(Programs::BENCH)?);
    run::forget_outer_package(&mut command);
    Ok(command)
}

/// What the figures are true of.
fn machine() -> String {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = text("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: unknown");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new(run::native_rustc()).arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let lock = text(&run::project_root().join("Cargo.lock").to_string_lossy());
    let versions: Vec<String> = ["wasmtime", "cedar-policy", "regorus"]
        .iter()
        .map(|name| format!("{name} {}", locked_version(&lock, name).unwrap_or("unknown")))
        .collect();
    format!(
        "machine    {model}, {cores} cores\nkernel     {}\ncompiler   {rustc}\nbeside     {}",
        text("/proc/sys/kernel/osrelease").trim(),
        versions.join(", ")
    )
}

/// The version of a package in the lock file.
fn locked_version<'lock>(lock: &'lock str, package: &str) -> Option<&'lock str> {
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a-b\"\nversion = \"9.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "a"), Some("1.2.3"));
        assert_eq!(locked_version(lock, "c"), None);
    }

    #[test]
    fn the_peers_are_locked() {
        let lock = include_str!("../../Cargo.lock");
        for name in ["wasmtime", "cedar-policy", "regorus"] {
            assert!(locked_version(lock, name).is_some(), "{name}");
        }
    }
}
