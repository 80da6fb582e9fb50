//! `cargo xtask bench feed`: how gateways follow the control plane, in a real Envoy.

use super::{locked, measure, program};
use crate::SupplyOptions;
use crate::build_filter;
use crate::envoy;
use crate::probe::ThisMachine;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct FeedOptions {
    /// Fewer turns: about two minutes
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    supplies: SupplyOptions,
}

pub(super) fn run(options: &FeedOptions) -> Result<ExitCode> {
    let filter = build_filter::build(options.supplies)?;
    let envoy = envoy::obtain(&ThisMachine, options.supplies)?;
    let mut command = program(options.supplies)?;
    command.arg("feed").arg("--envoy").arg(&envoy.program).arg("--filter").arg(&filter.path);
    if options.quick {
        command.arg("--quick");
    }
    let mut beside = vec![format!("Envoy {}", envoy.version)];
    beside.extend(locked(&["proxy-wasm"]));
    measure(command, &beside)
}
