//! `cargo xtask bench VERB`: the product's figures, beside those of its peers. One form for all: a table, then lines
//! `figure NAME VALUE UNIT` that scripts can read. No time ever fails it.
//!
//! Here things are built, and the machine and the versions are named; what is measured is in the crate `gateway-tests`,
//! feature `bench`, program `portvakt-bench`. One file per verb, with the verb's options: [`engine`], [`feed`], [`gateway`],
//! [`control_plane`].

mod control_plane;
mod engine;
mod feed;
mod gateway;

use crate::SupplyOptions;
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
    Engine(engine::EngineOptions),
    /// The feed: from publishing to enforcing on every worker, stalls, memory, recovery
    Feed(feed::FeedOptions),
    /// A real Envoy: CPU per request of the filter beside Envoy's own filters and calls to a PDP
    Gateway(gateway::GatewayOptions),
    /// The control plane on a million system users: start, approval until published, look-ups, deletion; on each store
    ControlPlane(control_plane::ControlPlaneOptions),
}

/// The verb; the exit code is the measuring program's.
pub(crate) fn run(options: &BenchOptions) -> Result<ExitCode> {
    match &options.what {
        What::Engine(options) => engine::run(options),
        What::Feed(options) => feed::run(options),
        What::Gateway(options) => gateway::run(options),
        What::ControlPlane(options) => control_plane::run(options),
    }
}

/// The measuring program, built; the caller adds its verb.
fn program(supplies: SupplyOptions) -> Result<Command> {
    let programs = programs::build(Scope::Bench, supplies.offline)?;
    let mut command = Command::new(programs.path(Programs::BENCH)?);
    run::forget_outer_package(&mut command);
    Ok(command)
}

/// Says what the figures are true of, and runs to the end.
fn measure(mut command: Command, beside: &[String]) -> Result<ExitCode> {
    println!("{}", machine(beside));
    let status = command.status().context("the measuring program could not be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the figures are true of.
fn machine(beside: &[String]) -> String {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = text("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: unknown");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = compiler();
    let load = text("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    format!(
        "machine    {model}, {cores} cores, load {load} before\nkernel     {}\ncompiler   {rustc}\nbeside     {}",
        text("/proc/sys/kernel/osrelease").trim(),
        beside.join(", ")
    )
}

/// The compiler's name and version.
fn compiler() -> String {
    let output = Command::new(run::native_rustc()).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Packages of the lock file with their versions: `wasmtime 48.0.8`.
fn locked(packages: &[&str]) -> Vec<String> {
    let lock = std::fs::read_to_string(run::project_root().join("Cargo.lock")).unwrap_or_default();
    let version = |name: &&str| format!("{name} {}", locked_version(&lock, name).unwrap_or("unknown"));
    packages.iter().map(version).collect()
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
        for name in engine::BESIDE {
            assert!(locked_version(lock, name).is_some(), "{name}");
        }
    }
}
