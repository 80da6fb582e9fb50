//! Plays the story in front of a real Envoy: starts everything, tells each step with what it proves, and leaves it
//! running with lines to try by hand. `cargo xtask demo` builds the programs and starts this one.
//!
//! Where to look next: `gateway_tests::story` is the story, `gateway_tests::stack` is what it runs on.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use gateway_tests::process;
use gateway_tests::stack::cast::{FJORDBAKERIET, annual_accounts_path, vat_path};
use gateway_tests::stack::{Gateway, GatewayOptions, Platform, PlatformOptions, Programs, Storage};
use gateway_tests::story::narrator::Narrator;
use gateway_tests::story::{self, moves};
use tempfile::TempDir;

const GATEWAY_PORT: u16 = 10_080;
const CONTROL_PLANE_PORT: u16 = 10_081;
/// Just under the longest life of a token that gateways accept.
const LONG_TOKEN_SECONDS: u32 = 55 * 60;

/// From a vendor's request to a decision inside Envoy, on this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The filter that Envoy loads
    #[arg(long, value_name = "FILE")]
    filter_wasm: PathBuf,
    /// Envoy
    #[arg(long, value_name = "FILE")]
    envoy: PathBuf,
    /// The control plane
    #[arg(long, value_name = "FILE")]
    control_plane: PathBuf,
    /// The stand-in Maskinporten
    #[arg(long, value_name = "FILE")]
    standin: PathBuf,
    /// Play the story, stop everything, and fail if any step is not as expected
    #[arg(long)]
    check: bool,
    /// Keep the folder with the database, the configurations and the logs
    #[arg(long)]
    keep: bool,
    /// Port of the gateway [default: 10080, or a free one with --check]
    #[arg(long, value_name = "PORT")]
    gateway_port: Option<u16>,
    /// Port of the control plane [default: 10081, or a free one with --check]
    #[arg(long, value_name = "PORT")]
    control_plane_port: Option<u16>,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    let arguments = Arguments::parse();
    process::report(run(arguments).await)
}

async fn run(arguments: Arguments) -> Result<()> {
    let gateway_port = port("--gateway-port", arguments.gateway_port, GATEWAY_PORT, arguments.check)?;
    let control_plane_port =
        port("--control-plane-port", arguments.control_plane_port, CONTROL_PLANE_PORT, arguments.check)?;
    let programs = Programs {
        filter_wasm: arguments.filter_wasm,
        envoy: arguments.envoy,
        control_plane: arguments.control_plane,
        standin: arguments.standin,
    }
    .checked()?;
    let mut folder = folder()?;
    folder.disable_cleanup(arguments.keep);

    let stopped = process::told_to_stop();
    let demo = demo(programs, folder.path(), [gateway_port, control_plane_port], arguments.check);
    let outcome = tokio::select! {
        outcome = demo => outcome,
        told = stopped => told.context("could not wait for a signal"),
    };
    if outcome.is_err() {
        folder.disable_cleanup(true);
    }
    let kept = folder.path().display().to_string();
    match outcome {
        Ok(()) if arguments.keep => println!("\nThe folder {kept} is kept.\n"),
        Ok(()) => println!(),
        Err(error) => bail!("{error:#}\nlogs and database: {kept}"),
    }
    Ok(())
}

/// Starts, plays, and unless it is only a check, waits for ever.
async fn demo(
    programs: Programs,
    folder: &Path,
    [gateway_port, control_plane_port]: [u16; 2],
    check: bool,
) -> Result<()> {
    let mut out = std::io::stdout();
    let narrator = &mut Narrator::new(&mut out);
    let started = Instant::now();
    narrator.title("Portvakt: from a vendor's request to a decision inside Envoy")?;
    let storage = Storage::File;
    let options = PlatformOptions { directory: folder.to_owned(), control_plane_port, storage };
    let platform = Platform::start(programs, &options).await?;
    platform.protect_the_api().await?;
    let options = GatewayOptions { port: gateway_port, ..GatewayOptions::default() };
    let gateway = Gateway::start(&platform, &options).await?;
    introduce(narrator, &platform, &gateway)?;

    let times = match story::play(&platform, &gateway, narrator).await {
        Ok(times) => times,
        Err(error) => return Err(not_as_expected(error, narrator.steps(), &platform, &gateway)),
    };
    narrator.title("Measured through Envoy, from the answer of the approval and of the withdrawal")?;
    times.tell(narrator)?;
    let (steps, seconds) = (narrator.steps(), started.elapsed().as_secs_f32());
    narrator
        .title(&format!("All {steps} steps went as expected, in {seconds:.1} s with the start of all programs."))?;
    if check {
        return Ok(());
    }
    offer_lines(narrator, folder, &platform, &gateway).await?;
    std::future::pending().await
}

fn introduce(narrator: &mut Narrator<'_>, platform: &Platform, gateway: &Gateway) -> Result<()> {
    narrator.entry("Maskinporten (a stand-in)", platform.standin.base_url())?;
    narrator.entry("control plane", &platform.control_plane.base_url())?;
    narrator.entry("Regnskapsregisteret's API", &format!("http://{}", platform.sample_api.address()))?;
    narrator.entry("Envoy with the filter", gateway.envoy.base_url())?;
    narrator.verbatim("")?;
    narrator.verbatim("  Regnskapsregisteret has said which call needs which right:")?;
    narrator.entry("  GET /vat/{party}/returns", "read on vat")?;
    narrator.entry("  GET /annual-accounts/{party}", "read on annual-accounts")?;
    Ok(())
}

fn not_as_expected(error: anyhow::Error, step: u32, platform: &Platform, gateway: &Gateway) -> anyhow::Error {
    let control_plane = platform.control_plane.log_tail();
    let envoy = gateway.envoy.log_tail();
    error.context(format!(
        "step {step} did not go as expected\n\n-- the end of the control plane's log\n{control_plane}\n\n\
         -- the end of Envoy's log\n{envoy}\n\n-- what went wrong"
    ))
}

/// Lines to copy, with tokens that live long enough to play with.
async fn offer_lines(narrator: &mut Narrator<'_>, folder: &Path, platform: &Platform, gateway: &Gateway) -> Result<()> {
    let expired = story::expired_token(platform, FJORDBAKERIET).await?;
    platform.standin.set_token_lifetime(LONG_TOKEN_SECONDS).await?;
    let token = moves::token(platform, FJORDBAKERIET).await?.access_token;
    platform.standin.set_token_lifetime(story::TOKEN_SECONDS).await?;
    let file = |name: &str, token: &str| -> Result<String> {
        let file = folder.join(name);
        fs::write(&file, token).with_context(|| format!("could not write {}", file.display()))?;
        Ok(format!("-H \"Authorization: Bearer $(cat {})\"", file.display()))
    };
    let (bearer, expired) = (file("token", &token)?, file("expired-token", &expired)?);
    let base = gateway.envoy.base_url();
    let (vat, accounts) = (vat_path(FJORDBAKERIET), annual_accounts_path(FJORDBAKERIET));

    narrator.title("Try it: the token is Fjordbakeriet's, for 55 minutes")?;
    for (what, line) in [
        ("permit", format!("curl -i {bearer} {base}{vat}")),
        ("wrong right", format!("curl -i {bearer} {base}{accounts}")),
        ("expired token", format!("curl -i {expired} {base}{vat}")),
        ("no token", format!("curl -i {base}{vat}")),
    ] {
        narrator.verbatim(&format!("# {what}\n{line}\n"))?;
    }
    if let Some(id) = platform.control_plane.process_id() {
        narrator.verbatim("# without the control plane the gateway goes on deciding from its last snapshot")?;
        narrator.verbatim(&format!("kill -9 {id}\n"))?;
        narrator.verbatim("# and takes up changes again once it is back")?;
        narrator.verbatim(&format!("{} &\n", platform.control_plane.command_line()))?;
    }
    narrator.entry("logs", &format!("{0}/*.log {0}/gateway/*.log", folder.display()))?;
    narrator.entry("one line per call", &gateway.envoy.access_log().display().to_string())?;
    narrator.entry("counters", &format!("{}/stats?filter=portvakt", gateway.envoy.admin_url()))?;
    narrator.entry("stop", "Ctrl-C")?;
    Ok(())
}

/// The port to use: as asked for, else a fixed one that lines can be remembered with, or any when only checking.
fn port(option: &str, asked: Option<u16>, fixed: u16, check: bool) -> Result<u16> {
    let port = match (asked, check) {
        (Some(port), _) => port,
        (None, true) => 0,
        (None, false) => fixed,
    };
    if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
        bail!("port {port} cannot be used ({error}); choose another with {option} PORT, or 0 for any free one");
    }
    Ok(port)
}

/// A new folder, in the project's `target` where there is one.
fn folder() -> Result<TempDir> {
    let target = std::env::current_dir().map(|directory| directory.join("target"));
    let parent = target.ok().filter(|target| target.is_dir()).unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("demo-").tempdir_in(&parent);
    folder.with_context(|| format!("could not make a folder in {}", parent.display()))
}
