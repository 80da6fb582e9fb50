//! Runs the stand-in Maskinporten as a program of its own, until it is told to stop.
//!
//! Where to look next: the module `gateway_tests::maskinporten`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use gateway_tests::maskinporten::{Maskinporten, Options, OrganizationNumber};
use gateway_tests::process;

/// A stand-in for Maskinporten, for demo and tests: a real JWT-bearer grant with invented organisations.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; must be a loopback address, port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The base address is written to this file when the stand-in listens.
    #[arg(long)]
    address_file: Option<PathBuf>,
    /// The stand-in's own organisation, in whose name it asks the look-up.
    #[arg(long, default_value = "310247014")]
    organization: OrganizationNumber,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    process::report(serve(Arguments::parse()).await)
}

async fn serve(arguments: Arguments) -> Result<()> {
    ensure!(arguments.listen.ip().is_loopback(), "--listen must be a loopback address");
    let options = Options { listen: arguments.listen, organization: arguments.organization };
    let standin = Maskinporten::start(options).await?;
    println!("{}", standin.base_url());
    if let Some(file) = &arguments.address_file {
        process::write_address_file(file, standin.base_url())?;
    }
    process::told_to_stop().await.context("could not wait for a signal")?;
    standin.stop().await
}
