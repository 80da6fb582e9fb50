//! `cargo xtask bench control-plane`: the real program on a large database, on SQLite and, where there is a server, on
//! PostgreSQL.

use super::{locked, measure};
use crate::SupplyOptions;
use crate::postgres::{self, Server};
use crate::probe::ThisMachine;
use crate::programs::{self, Programs, Scope};
use crate::run;
use anyhow::Result;
use clap::Args;
use std::process::{Command, ExitCode};

/// Packages whose versions the figures are true of.
const BESIDE: [&str; 3] = ["axum", "sqlx", "libsqlite3-sys"];

#[derive(Args)]
pub(super) struct ControlPlaneOptions {
    /// 50,000 system users, fewer approvals and turns
    #[arg(long)]
    quick: bool,
    /// System users, each with one delegation, instead of 1,000,000
    #[arg(long, value_name = "N", conflicts_with = "quick")]
    system_users: Option<u32>,
    #[command(flatten)]
    supplies: SupplyOptions,
}

pub(super) fn run(options: &ControlPlaneOptions) -> Result<ExitCode> {
    let programs = programs::build(Scope::ControlPlaneBench, options.supplies.offline)?;
    let mut command = Command::new(programs.path(Programs::CONTROL_PLANE_BENCH)?);
    run::forget_outer_package(&mut command);
    command.arg("--program").arg(programs.path(Programs::CONTROL_PLANE)?);
    if options.quick {
        command.args(["--system-users", "50000", "--approvals", "50", "--rounds", "3"]);
    }
    if let Some(count) = options.system_users {
        command.args(["--system-users", &count.to_string()]);
    }
    let mut beside = locked(&BESIDE);
    // The server lives until the measuring has ended.
    let server = match postgres::obtain(&ThisMachine, options.supplies) {
        Ok(programs) => Some(Server::start(&programs)?),
        Err(missing) => {
            eprintln!("note: nothing is measured on PostgreSQL: {missing}");
            None
        }
    };
    if let Some(server) = &server {
        command.arg("--postgres").arg(server.url());
        beside.push(server.version()?);
    }
    measure(command, &beside)
}
