//! Measures; `cargo xtask bench VERB` builds and starts it.

use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use engine_guest::world::Shape;
use gateway_tests::bench::case_instructions;
use gateway_tests::bench::engine::{self, Plan, STEP_NUMBERS, Size};
use gateway_tests::bench::feed;
use gateway_tests::bench::gateway;
use gateway_tests::bench::instructions;
use gateway_tests::bench::peers::Asked;
use gateway_tests::bench::publisher::{Published, Publisher};
use gateway_tests::bench::report::Report;

/// Measure
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The decision engine
    Engine(EngineOptions),
    /// How gateways follow the control plane, in a real Envoy
    Feed(Measured),
    /// A real Envoy, and what stands beside the filter in it
    Gateway(GatewayOptions),
    /// Instructions of single decisions, and of every case file, beside the table that is kept
    Instructions {
        /// The compiler that this was made with, in words
        #[arg(long)]
        compiler: String,
        /// Write the table anew
        #[arg(long)]
        renew: bool,
    },
    /// Decide every case file: what is counted
    DecideCases,
    /// The measuring program itself, natively, on the standard streams
    Serve,
    /// Build one snapshot and say what that took
    Build {
        #[arg(long)]
        rows: u32,
        #[arg(long)]
        system_users: u32,
        /// Folder for the snapshot's files
        #[arg(long)]
        into: PathBuf,
    },
}

#[derive(clap::Args)]
struct EngineOptions {
    /// The measuring program, compiled for WebAssembly
    #[arg(long)]
    program: PathBuf,
    /// Fewer sizes and turns
    #[arg(long)]
    quick: bool,
    /// Rows (system user, party), instead of the usual sizes
    #[arg(long, num_args = 1..)]
    rows: Vec<u32>,
    /// Numbers to look at in one step of loading
    #[arg(long, default_value_t = STEP_NUMBERS)]
    step_numbers: u32,
}

#[derive(clap::Args)]
struct Measured {
    /// Envoy's program
    #[arg(long)]
    envoy: PathBuf,
    /// The filter's module
    #[arg(long)]
    filter: PathBuf,
    /// Fewer and shorter rounds or turns
    #[arg(long)]
    quick: bool,
}

#[derive(clap::Args)]
struct GatewayOptions {
    #[command(flatten)]
    measured: Measured,
    /// Rounds, instead of the usual number
    #[arg(long)]
    rounds: Option<u32>,
    /// Only variants whose names begin so, beside the bare ones
    #[arg(long, num_args = 1..)]
    only: Vec<String>,
    /// How cost grows, instead; plots go into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "only")]
    growth: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    match Options::parse().verb {
        Verb::Build { rows, system_users, into } => {
            let shape = Shape::new(system_users, rows);
            for figure in Publisher::new()?.build(shape, &Published::inside(&into))? {
                println!("{figure}");
            }
        }
        Verb::Engine(options) => {
            let mut report = Report::new(engine::BOUNDS);
            let asked = Asked { questions: 10_000, rounds: if options.quick { 5 } else { 15 } };
            engine::run(&plan(options), &mut report)?;
            let given = engine::run_peers(asked, &mut report)?;
            report.print();
            println!("{given}");
        }
        Verb::Gateway(options) => {
            let mut report = Report::new(gateway::BOUNDS);
            gateway::run(&gateway_plan(options), &mut report)?;
            report.print();
        }
        Verb::Feed(options) => {
            let directory = tempfile::tempdir()?;
            let times = |usual, quick_ones| if options.quick { quick_ones } else { usual };
            let plan = feed::Plan {
                envoy: options.envoy,
                filter_wasm: options.filter,
                directory: directory.path().to_owned(),
                workers: 2,
                changes: times(100, 30),
                swaps: times(15, 5),
                updates: times(60, 15),
                recoveries: if options.quick { 1 } else { 5 },
                flood_seconds: if options.quick { 10 } else { 30 },
                sizes: vec![("10mib".to_owned(), 10 << 20), ("64mib".to_owned(), 64 << 20)],
            };
            let mut report = Report::new(feed::BOUNDS);
            feed::run(&plan, &mut report)?;
            report.print();
        }
        Verb::Instructions { compiler, renew } => {
            let is_same = case_instructions::run(&compiler, renew)?;
            let mut report = Report::new(engine::BOUNDS);
            instructions::run(&mut report)?;
            report.print();
            if !is_same {
                return Ok(ExitCode::FAILURE);
            }
        }
        Verb::DecideCases => case_instructions::decide_all()?,
        Verb::Serve => {
            let served = engine_guest::session::serve(&mut stdin().lock(), &mut stdout().lock());
            served.map_err(|error| anyhow!(error))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(options: EngineOptions) -> Plan {
    let EngineOptions { program, quick, rows, step_numbers } = options;
    let sizes = if rows.is_empty() {
        let usual = [1_000, 100_000, 1_000_000, 10_000_000].map(Size::of_rows);
        let more = if quick { None } else { Some(Size::of(10_000_000, 3_000_000)) };
        usual.into_iter().chain(more).collect()
    } else {
        rows.into_iter().map(Size::of_rows).collect()
    };
    let times = |usual, quick_ones| if quick { quick_ones } else { usual };
    Plan {
        program,
        sizes,
        loads: times(5, 3),
        rounds: times(7, 3),
        batches: times(2_000, 500),
        decisions: times(10_000, 4_000),
        tokens: if quick { 200 } else { 1_000 },
        step_numbers,
        changes: true,
    }
}

fn gateway_plan(options: GatewayOptions) -> gateway::Plan {
    let GatewayOptions { measured: Measured { envoy, filter, quick }, rounds, only, growth } = options;
    let (usual_rounds, time, starts) =
        if quick { (3, Duration::from_millis(600), 3) } else { (8, Duration::from_secs(3), 5) };
    gateway::Plan { envoy, filter, rounds: rounds.unwrap_or(usual_rounds), time, starts, only, growth }
}
