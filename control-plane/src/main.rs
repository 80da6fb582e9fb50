//! The control plane as a program: reads the configuration, starts, and stops when told to.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use control_plane::config::Config;
use control_plane::{SystemClock, SystemIds};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Portvakt's control plane: system register, system users, approvals, signed policy snapshots.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Serve {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
        /// Where to write the base URL once it listens.
        #[arg(long)]
        address_file: Option<PathBuf>,
    },
    /// Import parties from a file, while no control plane uses the database.
    ImportParties {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
        /// Bodies of `PUT /portvakt/v1/parties`, one after another.
        #[arg(long)]
        file: PathBuf,
    },
    /// Print the public key that gateways pin (PEM); makes the key if there is none.
    PublicKey {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
    },
    /// Write a copy of the database to a file, while the database is in use.
    Backup {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
        /// Where to; must not be there.
        file: PathBuf,
    },
    /// Put a copy in the place of a database that is not there, or empty. No control plane may be using it.
    Restore {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
        /// What `backup` wrote.
        file: PathBuf,
    },
    /// Copy a SQLite file into the configured, empty PostgreSQL database. No control plane may be using either.
    CopyFromSqlite {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
        /// The SQLite file.
        file: PathBuf,
    },
    /// Let all control planes on the PostgreSQL database sign with the configured key (start them anew afterwards), and
    /// print its public half (PEM).
    AdoptSigningKey {
        /// The configuration (TOML); `PORTVAKT_*` in the environment overrides it.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .init();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { config, address_file } => {
            let config = Config::read(&config)?;
            runtime()?.block_on(serve(config, address_file.as_deref()))
        }
        Command::AdoptSigningKey { config } => {
            let pem = runtime()?.block_on(control_plane::adopt_signing_key(&Config::read(&config)?))?;
            std::io::stdout().write_all(pem.as_bytes()).context("cannot print the key")
        }
        Command::Backup { config, file } => {
            let config = Config::read(&config)?;
            let done = runtime()?.block_on(control_plane::backup(&config, &file));
            done.with_context(|| format!("cannot copy `{}` to `{}`", config.database, file.display()))
        }
        Command::Restore { config, file } => {
            let config = Config::read(&config)?;
            let done = runtime()?.block_on(control_plane::restore(&config, &file));
            print_revision(done.with_context(|| format!("cannot restore `{}`", config.database))?)
        }
        Command::CopyFromSqlite { config, file } => {
            let config = Config::read(&config)?;
            let done = runtime()?.block_on(control_plane::copy_from_sqlite(&config, &file));
            print_revision(done.with_context(|| format!("cannot copy `{}`", file.display()))?)
        }
        Command::ImportParties { config, file } => {
            let config = Config::read(&config)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let importing = control_plane::import_parties(config, &file, Arc::new(SystemClock), Arc::new(SystemIds));
            let bodies = runtime.block_on(importing)?;
            writeln!(std::io::stdout(), "{bodies} imported").context("cannot print the result")
        }
        Command::PublicKey { config } => {
            let file = Config::read(&config)?.signing_key_file()?;
            let pem = control_plane::snapshot_public_key(&file, &SystemIds)?;
            std::io::stdout().write_all(pem.as_bytes()).context("cannot print the key")
        }
    }
}

fn print_revision(revision: u64) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "up to revision {revision}").context("cannot print the result")
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

async fn serve(config: Config, address_file: Option<&Path>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), database = %config.database, "starting");
    let running = control_plane::start(config, Arc::new(SystemClock), Arc::new(SystemIds)).await?;
    let base_url = running.base_url();
    if let Some(file) = address_file {
        write_whole(file, &base_url).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    tracing::info!(url = base_url, metrics = running.metrics_url(), "listening");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await
}

/// The file appears whole or not at all.
fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = file.with_extension("unfinished");
    std::fs::write(&unfinished, text)?;
    std::fs::rename(unfinished, file)
}
