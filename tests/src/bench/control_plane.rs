//! `control-plane`: what operators wait for, on each store: starting on a large database, an approval until gateways are
//! handed it, Maskinporten's look-up under load beside a bare axum route, and the deletion of the largest system.
//!
//! The control plane is the real program; [`world`] fills its database ([`seed`]) and starts it, [`approvals`] and [`load`]
//! use it as vendors, customers, gateways and Maskinporten would.

pub mod approvals;
pub mod bare;
pub mod load;
pub mod seed;
pub mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use engine_guest::figures::{Figure, quantile};
use engine_guest::random::Random;

use self::bare::Bare;
use self::load::Target;
use self::world::World;
use super::processors::Observed;
use super::report::{Bound, Bounds, Report};
use super::rounds;

/// What was agreed on.
pub const BOUNDS: Bounds = &[("publish.sqlite", Bound::AtMost(50.0)), ("publish.postgres", Bound::AtMost(50.0))];

/// Calls under way at once.
const CONNECTIONS: usize = 16;
const ROUND: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    /// The control plane.
    pub program: PathBuf,
    /// A PostgreSQL server, whose user may make databases; SQLite alone without one.
    pub postgres: Option<String>,
    /// Each has one delegation.
    pub system_users: u32,
    /// Requests that are approved one after the other.
    pub approvals: u32,
    /// Turns of the look-up and of the bare route.
    pub rounds: u32,
}

/// Measures each store.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        for postgres in [None, plan.postgres.as_deref()].into_iter().take(1 + usize::from(plan.postgres.is_some())) {
            let name = if postgres.is_some() { "postgres" } else { "sqlite" };
            on_store(plan, postgres, name, report).await?;
        }
        Ok(())
    })
}

async fn on_store(plan: &Plan, postgres: Option<&str>, name: &str, report: &mut Report) -> Result<()> {
    eprintln!("{name}: filling a database with {} system users", plan.system_users);
    let mut world = World::new(&plan.program, postgres, plan.system_users).await?;
    let begun = Instant::now();
    world.start().await?;
    let listening = begun.elapsed();
    world.wait_until_ready().await?;
    let process = world.process()?;
    report.add(
        name,
        [
            Figure::new("start.listening", listening.as_secs_f64(), "s"),
            Figure::new("start.published", begun.elapsed().as_secs_f64(), "s"),
            Figure::new("start.memory", process.resident_bytes_peak()? as f64 / 1e6, "MB"),
        ],
    );

    eprintln!("{name}: {} approvals", plan.approvals);
    let approvals = approvals::run(&world, plan.approvals).await?;
    let milliseconds = |values: &[Duration]| values.iter().map(|value| value.as_secs_f64() * 1e3).collect::<Vec<_>>();
    let (answered, published) = (milliseconds(&approvals.answered), milliseconds(&approvals.published_after));
    report.add(
        name,
        [
            Figure::new("approve", quantile(&answered, 0.5), "ms"),
            Figure::new("publish", quantile(&published, 0.5), "ms"),
            Figure::new("publish.p99", quantile(&published, 0.99), "ms"),
        ],
    );

    eprintln!("{name}: look-ups");
    let bare = Bare::start().await?;
    let look_up = world.look_up().await?;
    let mut random = Random::new(0x100c);
    for (_, subject) in rounds::turns(plan.rounds, 2) {
        let (target, of) = if subject == 0 { (&look_up, "look_up") } else { (bare.target(), "bare") };
        let before = process.cpu_time()?;
        let load = load::run(target, CONNECTIONS, ROUND, random.below(1 << 20)).await?;
        let cpu = process.cpu_time()?.saturating_sub(before);
        let rate = load.answers as f64 / load.time.as_secs_f64();
        report.add(
            name,
            [Figure::new(format!("{of}.rate"), rate, "1/s"), Figure::new(format!("{of}.p99"), load.p99_ms(), "ms")],
        );
        if subject == 0 {
            report.add(name, [Figure::new("look_up.cpu", cpu.as_secs_f64() * 1e6 / load.answers as f64, "us")]);
        }
    }
    report.add(name, [Figure::new("memory", Observed::resident_bytes(process)? as f64 / 1e6, "MB")]);

    eprintln!("{name}: the system is deleted");
    report.add(name, [Figure::new("delete_system", world.delete_system().await?.as_secs_f64() * 1e3, "ms")]);
    world.stop()
}

/// Percent-free paths of a target, drawn anew for each call.
pub fn target(address: std::net::SocketAddr, token: Option<String>, paths: Vec<String>) -> Target {
    Target { address, token, paths }
}
