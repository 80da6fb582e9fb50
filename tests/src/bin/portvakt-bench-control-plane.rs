//! Measures the control plane; `cargo xtask bench control-plane` builds and starts it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use gateway_tests::bench::control_plane::{self, Plan};
use gateway_tests::bench::report::Report;

/// Measure the control plane on a large database
#[derive(Parser)]
struct Options {
    /// The control plane
    #[arg(long)]
    program: PathBuf,
    /// URL of a PostgreSQL server on which databases may be made
    #[arg(long)]
    postgres: Option<String>,
    #[arg(long, default_value_t = 1_000_000)]
    system_users: u32,
    #[arg(long, default_value_t = 200)]
    approvals: u32,
    /// Turns of the look-up and of what it is compared with
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

fn main() -> Result<()> {
    let Options { program, postgres, system_users, approvals, rounds } = Options::parse();
    let mut report = Report::new(control_plane::BOUNDS);
    control_plane::run(&Plan { program, postgres, system_users, approvals, rounds }, &mut report)?;
    report.print();
    Ok(())
}
