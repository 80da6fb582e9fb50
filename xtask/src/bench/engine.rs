//! `cargo xtask bench engine`: the decision engine in WebAssembly, beside its peers.

use super::{compiler, locked, measure, program};
use crate::SupplyOptions;
use crate::build_filter;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Packages whose versions the figures are true of.
pub(super) const BESIDE: [&str; 3] = ["wasmtime", "cedar-policy", "regorus"];

#[derive(Args)]
pub(super) struct EngineOptions {
    /// Fewer sizes and turns: under two minutes
    #[arg(long)]
    quick: bool,
    /// Rows (system user, party), instead of the usual sizes from 1,000 to 10,000,000
    #[arg(long, num_args = 1.., value_name = "N")]
    rows: Vec<u32>,
    /// Count instructions instead (needs valgrind): of every case of policies/cases, compared with instructions.txt there
    /// (exit code 1 where a count differs by more than 2 %), and of a few decisions in a large snapshot
    #[arg(long, conflicts_with_all = ["quick", "rows"])]
    instructions: bool,
    /// Write instructions.txt anew
    #[arg(long, requires = "instructions")]
    renew: bool,
    #[command(flatten)]
    supplies: SupplyOptions,
}

pub(super) fn run(options: &EngineOptions) -> Result<ExitCode> {
    let command = if options.instructions {
        let mut command = program(options.supplies)?;
        command.arg("instructions").arg("--compiler").arg(compiler());
        if options.renew {
            command.arg("--renew");
        }
        command
    } else {
        let guest = build_filter::measuring_program(options.supplies)?;
        let mut command = program(options.supplies)?;
        command.arg("engine").arg("--program").arg(guest);
        if options.quick {
            command.arg("--quick");
        }
        if !options.rows.is_empty() {
            command.arg("--rows").args(options.rows.iter().map(u32::to_string));
        }
        command
    };
    measure(command, &locked(&BESIDE))
}
