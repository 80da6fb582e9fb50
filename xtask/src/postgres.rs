//! A PostgreSQL server for the tests: Debian's programs, a folder of its own, a Unix socket in it, gone afterwards.
//!
//! It runs as the user `postgres` (or `nobody`) when we are root, which PostgreSQL refuses to be. It is durable as a real
//! one is: what is acknowledged is on the disk.

use crate::SupplyOptions;
use crate::install;
use crate::probe::{Machine, ThisMachine, find_program};
use crate::run;
use anyhow::{Context, Result, bail, ensure};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder with the programs `initdb` and `postgres`, instead of what is looked for.
pub(crate) const NAMED: &str = "POSTGRES_BIN_DIR";
/// What the tests read: a URL of the server.
pub(crate) const URL: &str = "POSTGRES_URL";
/// Where Debian has it; the control plane needs this release.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";
const PACKAGE: &str = "postgresql-15";
const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(15);

/// The folder with the programs, or what is missing.
pub(crate) fn look(machine: &dyn Machine) -> Result<PathBuf, String> {
    let folder = machine.variable(NAMED).map_or_else(|| PathBuf::from(DEBIAN), PathBuf::from);
    if ["initdb", "postgres"].iter().all(|program| machine.is_file(&folder.join(program))) {
        return Ok(folder);
    }
    let cure = format!("apt-get install {PACKAGE}, or let {NAMED} name the programs' folder");
    Err(format!("{}: no PostgreSQL 15; {cure}", folder.display()))
}

/// Looks, and installs where the options allow it.
pub(crate) fn obtain(machine: &dyn Machine, options: SupplyOptions) -> Result<PathBuf, String> {
    let missing = match look(machine) {
        Ok(folder) => return Ok(folder),
        Err(missing) => missing,
    };
    if machine.variable(NAMED).is_some() || !install::possible(machine, options) {
        return Err(missing);
    }
    install::debian_packages(&[PACKAGE]).map_err(|error| format!("{missing}; {error:#}"))?;
    look(machine)
}

/// A running server; ended, and its folder removed, when it is dropped.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    programs: PathBuf,
}

impl Server {
    /// Starts one. It takes connections when this returns.
    pub(crate) fn start(programs: &Path) -> Result<Self> {
        run::step("starting a PostgreSQL server for the tests");
        // Short, because the path of a socket is; and not in the project, which its user may not be allowed to see.
        let folder = std::env::temp_dir().join(format!("portvakt-postgres-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o755).create(&folder).with_context(|| format!("`{}`", folder.display()))?;
        let started = Self::start_in(programs, &folder);
        if started.is_err() {
            // The first failure is the one to tell.
            let _removed = std::fs::remove_dir_all(&folder);
        }
        started
    }

    fn start_in(programs: &Path, folder: &Path) -> Result<Self> {
        let user = server_user(&ThisMachine)?;
        if let Some((uid, gid)) = user {
            chown(folder, Some(uid), Some(gid))?;
        }
        let data = folder.join("data");
        let mut initdb = as_user(&programs.join("initdb"), user);
        initdb.arg("--pgdata").arg(&data).args(["--username=portvakt", "--auth=trust", "--encoding=UTF8"]);
        let made =
            initdb.args(["--locale=C", "--no-instructions"]).current_dir(folder).stdin(Stdio::null()).output()?;
        ensure!(made.status.success(), "`initdb` failed: {}", String::from_utf8_lossy(&made.stderr).trim());

        let log = folder.join("log");
        let mut command = as_user(&programs.join("postgres"), user);
        command.arg("-D").arg(&data).arg("-k").arg(folder);
        command.args(["-c", "listen_addresses=", "-c", "max_connections=300", "-c", "shared_buffers=64MB"]);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        let process = command.spawn().context("`postgres` could not be started")?;
        let mut server = Self { process, folder: folder.to_owned(), programs: programs.to_owned() };
        let began = Instant::now();
        while !server.is_ready(&programs.join("pg_isready")) {
            if let Some(status) = server.process.try_wait()? {
                bail!("`postgres` ended with {}: {}", run::exit_words(status), std::fs::read_to_string(&log)?.trim());
            }
            ensure!(began.elapsed() < START_MAX, "`postgres` took no connection within {START_MAX:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// How the tests reach it.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=portvakt", self.folder.display())
    }

    /// `postgres (PostgreSQL) 15.14`.
    pub(crate) fn version(&self) -> Result<String> {
        let answer = Command::new(self.programs.join("postgres")).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }

    /// The folder with PostgreSQL's programs.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    fn is_ready(&self, pg_isready: &Path) -> bool {
        let mut command = Command::new(pg_isready);
        command.arg("--quiet").arg("--host").arg(&self.folder).args(["--username=portvakt", "--dbname=postgres"]);
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown.
        let _told = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let began = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if began.elapsed() > STOP_MAX {
                let _killed = self.process.kill();
                let _waited = self.process.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whom the server runs as, when that is somebody else: user and group.
fn server_user(machine: &dyn Machine) -> Result<Option<(u32, u32)>> {
    let id = find_program(machine, "id").context("there is no program `id`")?;
    let number = |arguments: &[&str]| machine.answer(&id, arguments).and_then(|text| text.trim().parse::<u32>().ok());
    if number(&["-u"]) != Some(0) {
        return Ok(None);
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| Some((number(&["-u", name])?, number(&["-g", name])?)));
    user.map(Some).context("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")
}

/// The program as this user; where `setpriv` is there, it also ends when we end.
fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    use std::os::unix::process::CommandExt;
    let Some(setpriv) = find_program(&ThisMachine, "setpriv") else {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        return command;
    };
    let mut command = Command::new(setpriv);
    if let Some((uid, gid)) = user {
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fake::FakeMachine;

    #[test]
    fn debians_programs_are_found_and_others_by_name() {
        let debian = FakeMachine::default().file("/usr/lib/postgresql/15/bin/initdb");
        assert!(look(&debian).unwrap_err().contains("apt-get install postgresql-15"));
        let debian = debian.file("/usr/lib/postgresql/15/bin/postgres");
        assert_eq!(look(&debian).unwrap(), Path::new(DEBIAN));
        let named = debian.variable(NAMED, "/o");
        assert!(obtain(&named, SupplyOptions { install: true, offline: false }).unwrap_err().contains("/o: no"));
    }

    #[test]
    fn root_lets_somebody_else_run_it() {
        let machine = FakeMachine::with_path("/usr/bin").answers("/usr/bin/id -u", "1000\n");
        assert_eq!(server_user(&machine).unwrap(), None);
        let machine = FakeMachine::with_path("/usr/bin").answers("/usr/bin/id -u", "0\n");
        assert!(server_user(&machine).is_err());
        let machine = machine.answers("/usr/bin/id -u nobody", "65534\n").answers("/usr/bin/id -g nobody", "65534\n");
        assert_eq!(server_user(&machine).unwrap(), Some((65534, 65534)));
    }
}
