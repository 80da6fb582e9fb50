//! `cargo xtask demo`: builds what the story needs and hands over to the program that plays it (`portvakt-demo`).
//!
//! The story itself is in the crate `gateway-tests`; here only its stage is set.

use crate::SupplyOptions;
use crate::build_filter;
use crate::envoy;
use crate::probe::ThisMachine;
use crate::programs::{self, Programs, Scope};
use crate::run;
use anyhow::{Context, Result};
use clap::Args;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

#[derive(Args, Default)]
pub(crate) struct DemoOptions {
    /// Play the story, stop everything, exit with 0 if every step proved what it should
    #[arg(long)]
    check: bool,
    /// Keep the data folder of the demo afterwards
    #[arg(long)]
    keep: bool,
    /// Port of the gateway (default: 10080, a free one with --check)
    #[arg(long, value_name = "PORT")]
    gateway_port: Option<u16>,
    /// Port of the control plane (default: 10081, a free one with --check)
    #[arg(long, value_name = "PORT")]
    control_plane_port: Option<u16>,
    #[command(flatten)]
    supplies: SupplyOptions,
}

impl DemoOptions {
    /// `demo --check` and nothing else.
    pub(crate) fn for_check(supplies: SupplyOptions) -> Self {
        Self { check: true, supplies, ..Self::default() }
    }
}

/// The verb. The demo takes this process's place: its exit code and Ctrl-C are its own.
pub(crate) fn run(options: &DemoOptions) -> Result<ExitCode> {
    let filter = build_filter::build(options.supplies)?;
    eprintln!("{filter}");
    let envoy = envoy::obtain(&ThisMachine, options.supplies)?;
    eprintln!("gateway    {envoy}");
    let programs = programs::build(Scope::Programs, options.supplies.offline)?;
    run::step("the story");
    let error = command(options, &filter.path, &envoy.program, &programs)?.exec();
    Err(error).context("the demo could not be started")
}

/// The program that plays the story, with everything it needs.
pub(crate) fn command(options: &DemoOptions, filter: &Path, envoy: &Path, programs: &Programs) -> Result<Command> {
    let mut command = Command::new(programs.path(Programs::DEMO)?);
    run::forget_outer_package(&mut command);
    command.current_dir(run::project_root());
    command.arg("--filter-wasm").arg(filter);
    command.arg("--envoy").arg(envoy);
    command.arg("--control-plane").arg(programs.path(Programs::CONTROL_PLANE)?);
    command.arg("--standin").arg(programs.path(Programs::MASKINPORTEN_STANDIN)?);
    for (name, given) in [("--check", options.check), ("--keep", options.keep)] {
        if given {
            command.arg(name);
        }
    }
    for (name, port) in [("--gateway-port", options.gateway_port), ("--control-plane-port", options.control_plane_port)]
    {
        if let Some(port) = port {
            command.arg(name).arg(port.to_string());
        }
    }
    Ok(command)
}
