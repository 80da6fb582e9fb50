//! `cargo xtask attacks`: the attack table, in wasmtime and in a real Envoy, beside what Envoy's own `jwt_authn` answers.
//!
//! The calls and what must come of them are in the crate `gateway-tests`; here things are built, and the program started.

use crate::SupplyOptions;
use crate::build_filter::{self, BuildError};
use crate::envoy;
use crate::probe::ThisMachine;
use crate::programs::{self, Programs, Scope};
use crate::run;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::process::{Command, ExitCode};

#[derive(Args)]
pub(crate) struct AttacksOptions {
    /// Write the table into filter/README.md instead of comparing it
    #[arg(long)]
    write: bool,
    /// Print every call's answers, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    supplies: SupplyOptions,
}

/// The verb. It fails when a row is not as it must be, or the README shows another table.
pub(crate) fn run(options: &AttacksOptions) -> Result<ExitCode> {
    let filter = match build_filter::build(options.supplies) {
        Ok(filter) => filter,
        Err(BuildError::NoToolchain(missing)) => bail!("the filter cannot be built: {missing}"),
        Err(BuildError::Failed(error)) => return Err(error),
    };
    let envoy = match envoy::obtain(&ThisMachine, options.supplies) {
        Ok(envoy) => envoy,
        Err(missing) => bail!("there is no Envoy: {missing}"),
    };
    let programs = programs::build(Scope::Attacks, options.supplies.offline)?;
    let mut command = Command::new(programs.path(Programs::ATTACKS)?);
    run::forget_outer_package(&mut command);
    command.env("FILTER_WASM_PATH", filter.path).env("ENVOY_BIN", envoy.program);
    for (name, wanted) in [("--write", options.write), ("--all", options.all)] {
        if wanted {
            command.arg(name);
        }
    }
    let status = command.status().context("the attacks could not be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
