//! `cargo xtask build`: the module that gateways load, as `target/wasm/portvakt_filter.wasm`; and, the same way, the program
//! that measures the decision engine ([`measuring_program`]).
//!
//! The toolchain comes from [`toolchain`]. The build has its own target folder, so that it and native builds leave each
//! other's results alone, and it names no folder of the machine that built it.

use crate::SupplyOptions;
use crate::callbacks;
use crate::details;
use crate::headers;
use crate::probe::ThisMachine;
use crate::run;
use crate::toolchain::{self, Compiler, NoToolchain, TARGET, WasmToolchain};
use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(Args)]
pub(crate) struct BuildOptions {
    #[command(flatten)]
    supplies: SupplyOptions,
}

/// A filter module that is ready to load.
pub(crate) struct FilterModule {
    pub(crate) path: PathBuf,
    toolchain: WasmToolchain,
    size_bytes: u64,
    sha256: String,
}

impl fmt::Display for FilterModule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "toolchain  {}", self.toolchain)?;
        writeln!(formatter, "module     {}", self.path.display())?;
        writeln!(formatter, "size       {} kB ({} bytes)", self.size_bytes.div_ceil(1000), self.size_bytes)?;
        write!(formatter, "sha256     {}", self.sha256)
    }
}

/// Why there is no module.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// This machine cannot build it; the tests that need it can be left out.
    NoToolchain(NoToolchain),
    /// It could be built here, and that went wrong.
    Failed(anyhow::Error),
}

impl std::error::Error for BuildError {}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToolchain(missing) => missing.fmt(formatter),
            Self::Failed(error) => write!(formatter, "{error:#}"),
        }
    }
}

/// The verb.
pub(crate) fn run(options: &BuildOptions) -> Result<ExitCode> {
    println!("{}", build(options.supplies)?);
    Ok(ExitCode::SUCCESS)
}

/// Builds the module, or takes the one that `FILTER_WASM` names.
pub(crate) fn build(options: SupplyOptions) -> Result<FilterModule, BuildError> {
    let toolchain = toolchain::obtain(&ThisMachine, options).map_err(BuildError::NoToolchain)?;
    build_with(toolchain, options).map_err(BuildError::Failed)
}

/// What is compiled, and how cargo is told.
struct Product {
    /// In words.
    name: &'static str,
    select: &'static [&'static str],
    file: &'static str,
    is_program: bool,
}

/// Vector instructions, which every host has had since 2021: a base is hashed with them several times as fast.
const VECTORS: &str = "-Ctarget-feature=+simd128";

const FILTER: Product = Product {
    name: "the filter module",
    // As nothing but a module: a library for Rust beside it would leave out optimisation across crates.
    select: &["--package", "filter", "--lib", "--crate-type", "cdylib"],
    file: "filter.wasm",
    is_program: false,
};

const MEASURING_PROGRAM: Product = Product {
    name: "the measuring program",
    select: &["--package", "engine-guest", "--bin", "engine-guest"],
    file: "engine-guest.wasm",
    is_program: true,
};

/// Builds the program that measures the decision engine in WebAssembly.
pub(crate) fn measuring_program(options: SupplyOptions) -> Result<PathBuf> {
    let toolchain = toolchain::obtain(&ThisMachine, options)?;
    if let WasmToolchain::Prebuilt(_) = toolchain {
        bail!("{} names a filter; the measuring program has to be built: unset it", toolchain::PREBUILT);
    }
    compiled(&MEASURING_PROGRAM, &toolchain, options)
}

fn build_with(toolchain: WasmToolchain, options: SupplyOptions) -> Result<FilterModule> {
    let folder = output_folder();
    let built = compiled(&FILTER, &toolchain, options)?;
    let module =
        std::fs::read(&built).with_context(|| format!("the built module {} cannot be read", built.display()))?;
    if !module.starts_with(b"\0asm") {
        bail!("{} is not a WebAssembly module", built.display());
    }
    let module = match toolchain {
        // Somebody else's to finish.
        WasmToolchain::Prebuilt(_) => module,
        _ => headers::in_one(&details::with_details(&callbacks::only_needed(&module)?)?)?,
    };
    let path = folder.join("portvakt_filter.wasm");
    put(&path, &module).with_context(|| format!("{} cannot be written", path.display()))?;
    let sha256 = hex::encode(Sha256::digest(&module));
    Ok(FilterModule { path, toolchain, size_bytes: module.len() as u64, sha256 })
}

fn output_folder() -> PathBuf {
    run::project_root().join("target/wasm")
}

/// Where cargo put the product.
fn compiled(product: &Product, toolchain: &WasmToolchain, options: SupplyOptions) -> Result<PathBuf> {
    match toolchain {
        WasmToolchain::Prebuilt(module) => return Ok(module.clone()),
        WasmToolchain::Installed(compiler) => {
            let mut command = cargo_rustc(product, compiler, options);
            command.env("CARGO_ENCODED_RUSTFLAGS", rustflags(compiler, &[]));
            compile(&mut command, product, toolchain, "about 1 minute the first time")?;
        }
        WasmToolchain::FromSource { compiler, linker, libraries } => {
            let mut command = cargo_rustc(product, compiler, options);
            command
                .args(["-Z", "build-std=std,panic_abort"])
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker);
            let search = format!("-L{}", libraries.display());
            command.env("CARGO_ENCODED_RUSTFLAGS", rustflags(compiler, &["-Clink-self-contained=no", &search]));
            if product.is_program {
                // What the target's own libraries would bring: the entry point that calls `main`. Only for the last crate,
                // so that everything before it is shared with the filter.
                command.arg("--").arg(format!("-Clink-arg={}", libraries.join("crt1-command.o").display()));
            }
            compile(&mut command, product, toolchain, "about 2 minutes the first time")?;
        }
    }
    Ok(output_folder().join(TARGET).join("wasm").join(product.file))
}

fn cargo_rustc(product: &Product, compiler: &Compiler, options: SupplyOptions) -> Command {
    let mut command = Command::new(&compiler.cargo);
    run::forget_toolchain(&mut command);
    command
        .current_dir(run::project_root())
        .env("RUSTC", &compiler.rustc)
        .arg("rustc")
        .args(product.select)
        .args(["--profile", "wasm", "--target", TARGET, "--target-dir"])
        .arg(output_folder());
    if options.offline {
        command.arg("--offline");
    }
    command
}

fn compile(command: &mut Command, product: &Product, toolchain: &WasmToolchain, expected: &str) -> Result<()> {
    run::step(&format!("building {} with {toolchain} ({expected}, seconds after a change)", product.name));
    run::loudly(command).with_context(|| format!("{} could not be built", product.name))
}

/// Flags in cargo's encoded form (split by 0x1f, so that paths may hold spaces), with the builder's folders renamed.
fn rustflags(compiler: &Compiler, flags: &[&str]) -> String {
    let mut flags: Vec<String> = flags.iter().chain(&[VECTORS]).map(|&flag| flag.to_owned()).collect();
    let source = compiler.sysroot.join("lib/rustlib/src/rust");
    let renamed = [(Some(run::project_root()), "/portvakt"), (cargo_home(), "/cargo"), (Some(source), "/rust")];
    for (folder, name) in renamed {
        flags.extend(folder.map(|folder| format!("--remap-path-prefix={}={name}", folder.display())));
    }
    flags.join("\x1f")
}

fn cargo_home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

/// Replaces the file in one step; a gateway that is loading it sees the old or the new one. Untouched when equal.
fn put(path: &Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let partial = path.with_extension("wasm.partial");
    std::fs::write(&partial, content)?;
    Ok(std::fs::rename(&partial, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    #[test]
    fn flags_keep_paths_with_spaces_whole() {
        let compiler = Compiler {
            cargo: "/a b/cargo".into(),
            rustc: "/a b/rustc".into(),
            sysroot: "/a b".into(),
            version: Version::new(1, 96, 0),
        };
        let flags = rustflags(&compiler, &["-Clink-self-contained=no"]);
        let flags: Vec<&str> = flags.split('\x1f').collect();
        assert_eq!(flags.first(), Some(&"-Clink-self-contained=no"));
        assert_eq!(flags.last(), Some(&"--remap-path-prefix=/a b/lib/rustlib/src/rust=/rust"));
    }
}
