//! Installing Debian packages: only with `--install`, only as root, always said first.

use crate::SupplyOptions;
use crate::probe::{Machine, find_program};
use crate::run;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Whether `--install` was given and can work here: Debian, root, allowed to download.
pub(crate) fn possible(machine: &dyn Machine, options: SupplyOptions) -> bool {
    options.install && !options.offline && is_debian(machine) && is_root(machine)
}

pub(crate) fn is_debian(machine: &dyn Machine) -> bool {
    machine.is_file(Path::new("/etc/debian_version")) && find_program(machine, "apt-get").is_some()
}

fn is_root(machine: &dyn Machine) -> bool {
    let id = find_program(machine, "id").and_then(|program| machine.answer(&program, &["-u"]));
    id.is_some_and(|answer| answer.trim() == "0")
}

/// Installs; to be called only where [`possible`].
pub(crate) fn debian_packages(packages: &[&str]) -> Result<()> {
    run::step(&format!("installing Debian packages ({}), about a minute", packages.join(" ")));
    run::loudly(apt_get().arg("update")).context("the list of Debian packages could not be fetched")?;
    run::loudly(apt_get().args(["install", "--yes"]).args(packages)).context("Debian packages could not be installed")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").env_remove("LD_LIBRARY_PATH").arg("--quiet");
    command
}
