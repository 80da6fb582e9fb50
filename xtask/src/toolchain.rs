//! Finds what can build the filter for WebAssembly.
//!
//! In this order: a module that is already built (`FILTER_WASM`); a cargo and rustc that have the target's standard
//! library; a cargo and rustc that have its source, with a linker; then, only if allowed, rustup and Debian's packages.
//! [`look`] never changes anything; [`obtain`] may. The build itself is in `build_filter.rs`.

use crate::SupplyOptions;
use crate::install;
use crate::probe::{Machine, find_program, path_folders};
use crate::run;
use crate::version::{Version, rust_minimum};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the filter is compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip1";
/// The set of Debian packages that is known to build it.
pub(crate) const DEBIAN_PACKAGES: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "lld-19", "wasi-libc", "libclang-rt-19-dev-wasm32"];

/// Names a module that is already built; nothing else is looked at then.
pub(crate) const PREBUILT: &str = "FILTER_WASM";

const WASI_LIBRARIES: &[&str] = &["/usr/lib/wasm32-wasip1", "/usr/lib/wasm32-wasi"];

/// A way to a filter module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WasmToolchain {
    /// Somebody built it: `FILTER_WASM`.
    Prebuilt(PathBuf),
    /// The target's standard library is installed.
    Installed(Compiler),
    /// The standard library is built from its source along with the filter.
    FromSource { compiler: Compiler, linker: PathBuf, libraries: PathBuf },
}

/// A cargo and the rustc that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    pub(crate) sysroot: PathBuf,
    pub(crate) version: Version,
}

impl fmt::Display for WasmToolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prebuilt(module) => write!(formatter, "none needed: FILTER_WASM names {}", module.display()),
            Self::Installed(compiler) => write!(formatter, "{compiler}, which has the standard library for {TARGET}"),
            Self::FromSource { compiler, linker, .. } => {
                let linker = linker.display();
                write!(formatter, "{compiler}, which has the source of the standard library, with {linker}")
            }
        }
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rust {} at {}", self.version, self.rustc.display())
    }
}

/// What a look-up gave: the toolchain, or what was looked at and why it would not do.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) found: Option<WasmToolchain>,
    pub(crate) looked_at: Vec<String>,
}

/// No toolchain: says what was looked at and the commands that fix it.
#[derive(Debug)]
pub(crate) struct NoToolchain {
    looked_at: Vec<String>,
    cures: Vec<String>,
}

impl std::error::Error for NoToolchain {}

impl fmt::Display for NoToolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "nothing here can build the filter for {TARGET}. Looked at:")?;
        for line in &self.looked_at {
            writeln!(formatter, "  - {line}")?;
        }
        write!(formatter, "Any of these fixes it:\n  {}", self.cures.join("\n  "))
    }
}

/// What a person can do where [`look`] found nothing; the likeliest first.
pub(crate) fn cures(machine: &dyn Machine) -> Vec<String> {
    if machine.variable(PREBUILT).is_some() {
        return vec![format!("let {PREBUILT} name a built module, or unset it")];
    }
    let mut commands =
        vec![format!("rustup target add {TARGET}"), format!("apt-get install {}", DEBIAN_PACKAGES.join(" "))];
    if install::is_debian(machine) {
        commands.reverse();
    }
    commands
}

/// Looks for a toolchain and, where the options and the machine allow it, fetches one.
pub(crate) fn obtain(machine: &dyn Machine, options: SupplyOptions) -> Result<WasmToolchain, NoToolchain> {
    let mut look = look(machine);
    if let Some(toolchain) = look.found {
        return Ok(toolchain);
    }
    if machine.variable(PREBUILT).is_some() {
        // Somebody named a module; building another one would test something else.
        return Err(NoToolchain { looked_at: look.looked_at, cures: cures(machine) });
    }
    let mut said = Vec::new();
    match rustup(machine, options) {
        Ok(rustup) => {
            run::step(&format!("rustup target add {TARGET} (a download)"));
            let mut command = Command::new(rustup);
            run::forget_toolchain(&mut command);
            let added = run::loudly(command.args(["target", "add", TARGET]).current_dir(run::project_root()));
            said.push(match added {
                Ok(()) => "rustup: added the target, but its library was not found afterwards".to_owned(),
                Err(error) => format!("rustup: could not fetch the target: {error}"),
            });
            look = self::look(machine);
        }
        Err(reason) => said.push(reason),
    }
    if look.found.is_none() {
        if install::possible(machine, options) {
            said.push(match install::debian_packages(DEBIAN_PACKAGES) {
                Ok(()) => "apt-get: installed the packages, but no toolchain was found afterwards".to_owned(),
                Err(error) => format!("apt-get: {error:#}"),
            });
            look = self::look(machine);
        } else {
            said.push("apt-get: not tried; it takes --install, Debian, root and no --offline".to_owned());
        }
    }
    let Look { found, mut looked_at } = look;
    looked_at.extend(said);
    found.ok_or_else(|| NoToolchain { looked_at, cures: cures(machine) })
}

/// Looks only.
pub(crate) fn look(machine: &dyn Machine) -> Look {
    let mut looked_at = Vec::new();
    let found = match machine.variable(PREBUILT) {
        Some(named) => prebuilt(machine, &named, &mut looked_at),
        None => {
            looked_at.push(format!("{PREBUILT}: not set"));
            let compilers = compilers(machine, &mut looked_at);
            with_library(machine, &compilers, &mut looked_at)
                .or_else(|| from_source(machine, &compilers, &mut looked_at))
        }
    };
    Look { found, looked_at }
}

/// The newest `wasm-ld` on PATH or in /usr/bin; Debian puts its version into the name.
pub(crate) fn wasm_linker(machine: &dyn Machine) -> Option<PathBuf> {
    let mut best: Option<(u32, PathBuf)> = None;
    for folder in program_folders(machine) {
        for name in machine.names_in(&folder) {
            let release = match name.strip_prefix("wasm-ld") {
                Some("") => Some(u32::MAX),
                Some(rest) => rest.strip_prefix('-').and_then(|number| number.parse().ok()),
                None => None,
            };
            if let Some(release) = release.filter(|release| best.as_ref().is_none_or(|(known, _)| release > known)) {
                best = Some((release, folder.join(name)));
            }
        }
    }
    best.map(|(_, linker)| linker)
}

fn prebuilt(machine: &dyn Machine, named: &str, looked_at: &mut Vec<String>) -> Option<WasmToolchain> {
    let module = run::project_root().join(named);
    if machine.is_file(&module) {
        return Some(WasmToolchain::Prebuilt(module));
    }
    looked_at.push(format!("{PREBUILT}: there is no file {named}"));
    None
}

/// Every cargo and rustc pair on PATH and in /usr/bin that is new enough, each once.
fn compilers(machine: &dyn Machine, looked_at: &mut Vec<String>) -> Vec<Compiler> {
    let mut seen = BTreeSet::new();
    let mut compilers = Vec::new();
    for folder in program_folders(machine) {
        let (cargo, rustc) = (folder.join("cargo"), folder.join("rustc"));
        if !machine.is_file(&cargo) || !machine.is_file(&rustc) {
            continue;
        }
        let Some(compiler) = compiler(machine, cargo, rustc) else {
            looked_at.push(format!("{}: cargo and rustc are there, but rustc does not answer", folder.display()));
            continue;
        };
        if !seen.insert(machine.real_path(&compiler.sysroot)) {
            continue;
        }
        if compiler.version < rust_minimum() {
            looked_at.push(format!("{compiler}: too old, {} is needed", rust_minimum()));
        } else {
            compilers.push(compiler);
        }
    }
    if compilers.is_empty() {
        looked_at.push("PATH and /usr/bin: no cargo with a rustc that is new enough".to_owned());
    }
    compilers
}

fn compiler(machine: &dyn Machine, cargo: PathBuf, rustc: PathBuf) -> Option<Compiler> {
    let sysroot = PathBuf::from(machine.answer(&rustc, &["--print", "sysroot"])?.trim());
    // rustup's programs are stand-ins; name the real ones, so that no variable can turn them elsewhere.
    let (real_cargo, real_rustc) = (sysroot.join("bin/cargo"), sysroot.join("bin/rustc"));
    let real = machine.is_file(&real_cargo) && machine.is_file(&real_rustc);
    let (cargo, rustc) = if real { (real_cargo, real_rustc) } else { (cargo, rustc) };
    let version = Version::find_in(&machine.answer(&rustc, &["--version"])?)?;
    Some(Compiler { cargo, rustc, sysroot, version })
}

fn with_library(machine: &dyn Machine, compilers: &[Compiler], looked_at: &mut Vec<String>) -> Option<WasmToolchain> {
    for compiler in compilers {
        let folder = machine.answer(&compiler.rustc, &["--print", "target-libdir", "--target", TARGET]);
        let names = folder.map(|folder| machine.names_in(Path::new(folder.trim()))).unwrap_or_default();
        if names.iter().any(|name| name.starts_with("libstd-")) {
            return Some(WasmToolchain::Installed(compiler.clone()));
        }
        looked_at.push(format!("{compiler}: no standard library for {TARGET}"));
    }
    None
}

fn from_source(machine: &dyn Machine, compilers: &[Compiler], looked_at: &mut Vec<String>) -> Option<WasmToolchain> {
    let has_source =
        |compiler: &&Compiler| machine.is_file(&compiler.sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml"));
    let Some(compiler) = compilers.iter().find(has_source) else {
        looked_at.push("no cargo and rustc with the source of the standard library (rust-src)".to_owned());
        return None;
    };
    let linker = wasm_linker(machine);
    let libraries = WASI_LIBRARIES.iter().map(Path::new).find(|folder| machine.is_file(&folder.join("libc.a")));
    match (linker, libraries) {
        (Some(linker), Some(libraries)) => {
            Some(WasmToolchain::FromSource { compiler: compiler.clone(), linker, libraries: libraries.to_owned() })
        }
        (linker, libraries) => {
            let missing = |found: bool, what: &str| {
                if found { String::new() } else { format!(", but no {what}") }
            };
            let linker = missing(linker.is_some(), "wasm-ld");
            let libraries = missing(libraries.is_some(), "wasi-libc (/usr/lib/wasm32-wasi/libc.a)");
            looked_at.push(format!("{compiler}: has the source of the standard library{linker}{libraries}"));
            None
        }
    }
}

/// rustup, if it may download; else why it is not asked.
fn rustup(machine: &dyn Machine, options: SupplyOptions) -> Result<PathBuf, String> {
    if options.offline {
        return Err("rustup: not asked, because of --offline".to_owned());
    }
    if machine.variable("RUSTUP_AUTO_INSTALL").is_some_and(|value| value == "0") {
        return Err("rustup: not asked, because RUSTUP_AUTO_INSTALL=0".to_owned());
    }
    find_program(machine, "rustup").ok_or_else(|| "rustup: not installed".to_owned())
}

fn program_folders(machine: &dyn Machine) -> Vec<PathBuf> {
    let mut folders = path_folders(machine);
    let system = PathBuf::from("/usr/bin");
    if !folders.iter().any(|folder| machine.real_path(folder) == system) {
        folders.push(system);
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fake::FakeMachine;

    const RUSTUP_SYSROOT: &str = "/home/a/.rustup/toolchains/stable";

    fn rustup_machine() -> FakeMachine {
        FakeMachine::with_path("/home/a/.cargo/bin:/usr/bin:/bin")
            .file("/home/a/.cargo/bin/cargo")
            .answers("/home/a/.cargo/bin/rustc --print sysroot", RUSTUP_SYSROOT)
            .file(&format!("{RUSTUP_SYSROOT}/bin/cargo"))
            .answers(&format!("{RUSTUP_SYSROOT}/bin/rustc --version"), "rustc 1.95.0 (abc)")
            .answers(
                &format!("{RUSTUP_SYSROOT}/bin/rustc --print target-libdir --target {TARGET}"),
                "/home/a/wasm/lib\n",
            )
    }

    fn with_debian(machine: FakeMachine, version: &str) -> FakeMachine {
        machine
            .file("/usr/bin/cargo")
            .answers("/usr/bin/rustc --print sysroot", "/usr\n")
            .answers("/usr/bin/rustc --version", version)
            .file("/usr/lib/rustlib/src/rust/library/std/Cargo.toml")
    }

    fn with_linker(machine: FakeMachine) -> FakeMachine {
        machine.file("/usr/bin/wasm-ld-9").file("/usr/bin/wasm-ld-19").file("/usr/lib/wasm32-wasi/libc.a")
    }

    #[test]
    fn a_prebuilt_module_comes_first() {
        let machine = rustup_machine().file("/home/a/wasm/lib/libstd-1.rlib").file("/m/filter.wasm");
        let machine = machine.variable("FILTER_WASM", "/m/filter.wasm");
        assert_eq!(look(&machine).found, Some(WasmToolchain::Prebuilt("/m/filter.wasm".into())));
    }

    #[test]
    fn a_prebuilt_module_that_is_not_there_is_never_replaced() {
        let machine = rustup_machine().file("/home/a/wasm/lib/libstd-1.rlib").variable(PREBUILT, "/m/filter.wasm");
        let error = obtain(&machine, SupplyOptions::default()).unwrap_err().to_string();
        assert!(error.contains("FILTER_WASM: there is no file /m/filter.wasm"), "{error}");
        assert!(error.ends_with("let FILTER_WASM name a built module, or unset it"), "{error}");
    }

    #[test]
    fn an_installed_library_comes_before_its_source() {
        let machine = with_linker(with_debian(rustup_machine(), "rustc 1.96.0")).file("/home/a/wasm/lib/libstd-1.rlib");
        let Some(WasmToolchain::Installed(compiler)) = look(&machine).found else { panic!("not the installed one") };
        assert_eq!(compiler.cargo, Path::new(RUSTUP_SYSROOT).join("bin/cargo"), "the real one, not rustup's stand-in");
    }

    #[test]
    fn the_source_is_used_with_the_newest_linker() {
        let machine = with_linker(with_debian(rustup_machine(), "rustc 1.96.0"));
        let Some(WasmToolchain::FromSource { compiler, linker, libraries }) = look(&machine).found else {
            panic!("not from source")
        };
        assert_eq!(compiler.rustc, Path::new("/usr/bin/rustc"));
        assert_eq!(linker, Path::new("/usr/bin/wasm-ld-19"));
        assert_eq!(libraries, Path::new("/usr/lib/wasm32-wasi"));
    }

    #[test]
    fn debian_is_found_even_where_path_does_not_name_it() {
        let machine = with_linker(with_debian(FakeMachine::with_path("/opt/bin"), "rustc 1.96.0"));
        assert!(matches!(look(&machine).found, Some(WasmToolchain::FromSource { .. })));
    }

    #[test]
    fn an_old_compiler_is_passed_over_by_name() {
        let look = look(&with_linker(with_debian(FakeMachine::with_path("/usr/bin"), "rustc 1.63.0")));
        assert_eq!(look.found, None);
        assert!(look.looked_at.iter().any(|line| line.contains("Rust 1.63.0 at /usr/bin/rustc: too old")), "{look:?}");
    }

    #[test]
    fn a_missing_linker_is_named() {
        let look = look(&with_debian(FakeMachine::with_path("/usr/bin"), "rustc 1.96.0"));
        assert_eq!(look.found, None);
        assert!(look.looked_at.iter().any(|line| line.contains("but no wasm-ld, but no wasi-libc")), "{look:?}");
    }

    #[test]
    fn nothing_is_fetched_where_that_is_forbidden() {
        let forbidden = rustup_machine().file("/home/a/.cargo/bin/rustup").variable("RUSTUP_AUTO_INSTALL", "0");
        let error = obtain(&forbidden, SupplyOptions::default()).unwrap_err().to_string();
        assert!(error.contains("RUSTUP_AUTO_INSTALL=0"), "{error}");
        assert!(error.contains("rustup target add wasm32-wasip1") && error.contains("apt-get install rustc-web"));

        let offline = rustup_machine().file("/home/a/.cargo/bin/rustup");
        let error = obtain(&offline, SupplyOptions { offline: true, install: true }).unwrap_err().to_string();
        assert!(error.contains("because of --offline"), "{error}");
    }
}
