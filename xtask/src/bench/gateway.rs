//! `cargo xtask bench gateway`: the filter in a real Envoy, beside what providers use without it.

use super::{measure, program};
use crate::SupplyOptions;
use crate::build_filter;
use crate::envoy;
use crate::probe::ThisMachine;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct GatewayOptions {
    /// Fewer and shorter rounds: under two minutes
    #[arg(long)]
    quick: bool,
    /// Rounds, instead of the usual number
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Only variants whose names begin so, beside the bare ones
    #[arg(long, num_args = 1.., value_name = "NAME")]
    only: Vec<String>,
    /// How cost grows with rows, routes, tokens, headers and workers, instead; plots go into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "only")]
    growth: Option<PathBuf>,
    #[command(flatten)]
    supplies: SupplyOptions,
}

pub(super) fn run(options: &GatewayOptions) -> Result<ExitCode> {
    let envoy = envoy::obtain(&ThisMachine, options.supplies)?;
    let filter = build_filter::build(options.supplies)?;
    let mut command = program(options.supplies)?;
    command.arg("gateway").arg("--envoy").arg(&envoy.program).arg("--filter").arg(&filter.path);
    if options.quick {
        command.arg("--quick");
    }
    if let Some(rounds) = options.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    if !options.only.is_empty() {
        command.arg("--only").args(&options.only);
    }
    if let Some(folder) = &options.growth {
        command.arg("--growth").arg(folder);
    }
    measure(command, &[format!("Envoy {}", envoy.version)])
}
