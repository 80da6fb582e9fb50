//! Runs the attack table and prints it; `cargo xtask attacks` builds and starts it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use gateway_tests::attacks::{self, Answers, Place, Row};

/// Put every attack to the filter in wasmtime and in Envoy, and to Envoy's own `jwt_authn`
#[derive(Parser)]
struct Options {
    /// Write the table into filter/README.md instead of comparing it
    #[arg(long)]
    write: bool,
    /// Print every call's answers, too
    #[arg(long)]
    all: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    gateway_tests::process::log_to_stderr();
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn named(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable);
    Ok(path.with_context(|| format!("{variable} is not set: run `cargo xtask attacks`"))?.into())
}

/// Everything is as it must be.
async fn run(options: &Options) -> Result<bool> {
    let (program, filter_wasm) = (named("ENVOY_BIN")?, named("FILTER_WASM_PATH")?);
    let rows = attacks::rows()?;
    let folder = tempfile::tempdir()?;
    let (answers, mistakes) = attacks::run_all(&rows, &program, &filter_wasm, folder.path()).await?;
    if options.all {
        print_all(&rows, &answers);
    }
    let table = attacks::table(&rows, &answers);
    println!("{table}");
    for mistake in &mistakes {
        eprintln!("wrong: {mistake}");
    }
    if options.write {
        attacks::publish(&table)?;
    } else if attacks::published()? != table {
        eprintln!("wrong: filter/README.md shows another table; `cargo xtask attacks --write` writes this one");
        return Ok(false);
    }
    println!(
        "{} rows, {} calls, {} wrong",
        rows.len(),
        rows.iter().map(|row| row.attacks.len()).sum::<usize>(),
        mistakes.len()
    );
    Ok(mistakes.is_empty())
}

fn print_all(rows: &[Row], answers: &Answers) {
    let places = [Place::JwtAuthn, Place::Wasmtime, Place::Raw, Place::EnvoyGateway, Place::Istio];
    for row in rows {
        println!("{} {}", row.row, row.case);
        for attack in &row.attacks {
            let told: Vec<&str> =
                places.iter().map(|place| answers.get(row.row, &attack.name, *place).unwrap_or("-")).collect();
            println!("    {}: {}", attack.name, told.join(" | "));
        }
    }
}
