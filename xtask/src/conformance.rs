//! `cargo xtask conformance DIR…`: decides cases that others wrote, and prints for each suite how many answers are equal.
//!
//! The comparison is in the crate `gateway-tests`, the decision in `policies`; here the program is only built and started.

use crate::programs::{self, Scope};
use crate::run;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const PROGRAM: &str = "portvakt-conformance";

#[derive(Args)]
pub(crate) struct ConformanceOptions {
    /// How policies are read (default: as the name of the suite says)
    #[arg(long, value_enum)]
    semantics: Option<Semantics>,
    /// Folders of cases, of suites, or a single case
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Download nothing: use what is here or say what is missing
    #[arg(long)]
    offline: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Semantics {
    Altinn,
    Standard,
}

/// The verb. The program takes this process's place: its exit code is its own.
pub(crate) fn run(options: &ConformanceOptions) -> Result<ExitCode> {
    let programs = programs::build(Scope::Programs, options.offline)?;
    let mut command = Command::new(programs.path(PROGRAM)?);
    run::forget_outer_package(&mut command);
    if let Some(semantics) = options.semantics {
        command.arg("--semantics").arg(match semantics {
            Semantics::Altinn => "altinn",
            Semantics::Standard => "standard",
        });
    }
    let error = command.arg("--").args(&options.folders).exec();
    Err(error).context("the cases could not be run")
}
