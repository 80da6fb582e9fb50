//! A real Envoy with a listener for each variant: what each adds to a request, in CPU time of Envoy's worker.
//!
//! Envoy has one worker on a processor of its own; load, API and authorisers share another. In every round each variant has
//! its turn; ratios are taken within a round. Before that, each is asked whether it checks what it should: a good call, a
//! token with a changed signature, a call for another party.

pub mod bootstrap;
pub mod callers;
pub mod feed;
pub mod floor;
pub mod growth;
pub mod load;
pub mod running;
pub mod servers;
pub mod stage;
pub mod variants;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use engine_guest::figures::{Figure, median};

use super::report::{Bound, Bounds, Report};
use super::rounds::{paired, turns};
use super::table::Table;
use callers::{Callers, Kind};
use load::{Load, Served};
use running::Running;
use stage::{Snapshot, Stage};
use variants::{BARE, BARE_UPSTREAM, Variant, portvakt};

/// Figures with a bound.
pub const BOUNDS: Bounds = &[
    ("gateway.cpu.vs_jwt_authn_cached_rbac", Bound::AtMost(0.60)),
    ("gateway.cpu.vs_jwt_authn_cached_ext_authz_grpc", Bound::AtMost(0.16)),
    ("gateway.cpu.first_sight_vs_jwt_authn", Bound::AtMost(0.65)),
    ("gateway.cpu.denial_vs_permit", Bound::AtMost(1.0)),
    ("gateway.cpu.rows_10m_vs_1k", Bound::AtMost(1.15)),
    ("gateway.rps.vs_jwt_authn_cached_rbac", Bound::AtLeast(1.25)),
    ("gateway.rps.vs_bare", Bound::AtLeast(0.76)),
    ("gateway.rps.vs_bare_upstream", Bound::AtLeast(0.84)),
    ("gateway.memory.per_worker_mb", Bound::AtMost(24.0)),
    ("gateway.startup.added_ms", Bound::AtMost(150.0)),
    ("gateway.module_kb", Bound::AtMost(500.0)),
];

/// Connections of the load.
const CONNECTIONS: usize = 32;
/// Load before each turn that is not counted, at least.
const WARMING: Duration = Duration::from_millis(150);
/// Tokens that callers have.
const TOKENS: usize = 1_000;
/// How far away a distant authoriser is.
const FAR: Duration = Duration::from_millis(2);
/// Workers of the Envoy that the memory of one is told by.
const WORKERS_MANY: u32 = 3;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    pub envoy: PathBuf,
    /// The module that is measured.
    pub filter: PathBuf,
    pub rounds: u32,
    /// Time of one turn.
    pub time: Duration,
    /// Starts of Envoy that are timed, with and without the module.
    pub starts: u32,
    /// Only variants whose names begin so; bare ones are always measured.
    pub only: Vec<String>,
    /// How cost grows, instead of what stands beside what: plots go into this folder.
    pub growth: Option<PathBuf>,
}

/// What one turn came to.
#[derive(Debug, Clone, Copy)]
struct Turn {
    served: Served,
    /// Microseconds of the worker per request.
    cpu: f64,
}

/// Turns of a variant, one for each round.
#[derive(Debug, Default)]
struct Turns(Vec<Turn>);

impl Turns {
    fn values(&self, of: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.0.iter().map(of).collect()
    }

    fn cpu(&self) -> Vec<f64> {
        self.values(|turn| turn.cpu)
    }

    fn rate(&self) -> Vec<f64> {
        self.values(|turn| turn.served.rate())
    }
}

/// Measures.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stage = Stage::new(plan, FAR)?;
        if let Some(folder) = &plan.growth {
            return growth::run(plan, &stage, folder, report).await;
        }
        let (variants, snapshots) = product_variants(&stage)?;
        let kept = |variant: &Variant| {
            let is_bare = variant.name == BARE || variant.name == BARE_UPSTREAM;
            plan.only.is_empty() || is_bare || plan.only.iter().any(|start| variant.name.starts_with(start))
        };
        let variants: Vec<Variant> = variants.into_iter().filter(kept).collect();
        let envoy = stage.envoy(&variants, 1, "all").await?;
        for snapshot in &snapshots {
            check(&envoy, &variants, snapshot).await.map_err(|error| envoy.explain(&error))?;
        }
        eprintln!("{} variants, {} rounds", variants.len(), plan.rounds);
        let turns = take_turns(plan, &envoy, &variants).await.map_err(|error| envoy.explain(&error))?;
        drop(envoy);
        println!("{}", table(&variants, &turns));
        compare(&variants, &turns, report);
        if plan.only.is_empty() {
            around(plan, &stage, &variants, report).await?;
        }
        let module = std::fs::metadata(&plan.filter)?.len();
        report.add("", [Figure::new("gateway.module_kb", module as f64 / 1000.0, "kB")]);
        Ok(())
    })
}

/// Callers of a snapshot and the listener that enforces it.
struct Enforcing {
    callers: Callers,
    listener: String,
}

/// Every variant, and who is to be refused by which of them.
fn product_variants(stage: &Stage) -> Result<(Vec<Variant>, Vec<Enforcing>)> {
    let mut all = Vec::new();
    let mut enforcing = Vec::new();
    for (name, rows) in [("portvakt_1k", 1_000), ("portvakt_1m", 1_000_000), ("portvakt_10m", 10_000_000)] {
        if !stage.is_wanted(name) {
            continue;
        }
        let (callers, snapshot) = stage.snapshot(name, Snapshot::of_rows(rows))?;
        let good = callers.requests(Kind::Good, TOKENS, 0, 200)?;
        if rows == 1_000_000 {
            all.extend(variants::others(&callers, TOKENS, &stage.floor(&callers)?)?);
            let refused = callers.requests(Kind::OtherParty, TOKENS, 0, 403)?;
            all.push(portvakt("portvakt_1m_denial", &snapshot, false, refused));
            all.push(portvakt("portvakt_1m_upstream", &snapshot, true, good.clone()));
            let few_tokens = stage.with("portvakt_first_sight", &snapshot, "tokenCache", r#"{"tokensMax":64}"#)?;
            all.push(portvakt("portvakt_1m_first_sight", &few_tokens, false, good.clone()));
            let silent = stage.with("portvakt_no_identity", &snapshot, "identityHeaders", "[]")?;
            all.push(portvakt("portvakt_1m_no_identity", &silent, false, good.clone()));
            let shadow = Snapshot { is_shadow: true, ..Snapshot::of_rows(rows) };
            let (_, shadow) = stage.snapshot("portvakt_1m_shadow", shadow)?;
            all.push(portvakt("portvakt_1m_shadow", &shadow, false, good.clone()));
        }
        all.push(portvakt(name, &snapshot, false, good));
        let in_turn = callers.requests_in_turn(TOKENS, 200)?;
        all.push(portvakt(&format!("{name}_in_turn"), &snapshot, false, in_turn));
        enforcing.push(Enforcing { callers, listener: name.to_owned() });
    }
    Ok((all, enforcing))
}

/// What must be so before anything is worth measuring.
async fn check(envoy: &Running, variants: &[Variant], of: &Enforcing) -> Result<()> {
    let one = |kind| -> Result<Vec<u8>> {
        let requests = of.callers.requests(kind, 1, 0, 200)?.requests;
        requests.first().cloned().context("no caller")
    };
    let (good, tampered, other) = (one(Kind::Good)?, one(Kind::Tampered)?, one(Kind::OtherParty)?);
    for variant in variants {
        let name = variant.name.as_str();
        let is_portvakt = name.starts_with("portvakt");
        if is_portvakt && name != of.listener && !name.starts_with(&format!("{}_", of.listener)) {
            continue;
        }
        let address = envoy.address(name)?;
        let is_shadow = name.contains("shadow");
        let checks_tokens = name.contains("jwt_authn") || (is_portvakt && !is_shadow);
        let decides = is_portvakt && !is_shadow;
        let answers =
            [load::ask(address, &good).await?, load::ask(address, &tampered).await?, load::ask(address, &other).await?];
        let expected = [200, if checks_tokens { 401 } else { 200 }, if decides { 403 } else { 200 }];
        ensure!(answers == expected, "{name} answers {answers:?} to a good call, a tampered token and another party");
    }
    Ok(())
}

async fn take_turns(plan: &Plan, envoy: &Running, variants: &[Variant]) -> Result<BTreeMap<String, Turns>> {
    let mut all: BTreeMap<String, Turns> = BTreeMap::new();
    for (round, position) in turns(plan.rounds, variants.len()) {
        let Some(variant) = variants.get(position) else { bail!("no such variant") };
        let turn = turn(plan, envoy, variant).await.with_context(|| format!("{} in round {round}", variant.name))?;
        all.entry(variant.name.clone()).or_default().0.push(turn);
    }
    Ok(all)
}

async fn turn(plan: &Plan, envoy: &Running, variant: &Variant) -> Result<Turn> {
    let mut load = Load::connect(envoy.address(&variant.name)?, CONNECTIONS).await?;
    // Every request at least once, so that none of a token's, unless the variant forgets it, is its first.
    let mut warmed = 0;
    while warmed < variant.requests.requests.len() as u64 {
        warmed += load.run(&variant.requests, WARMING).await?.requests;
    }
    let before = envoy.workers_cpu_time()?;
    let served = load.run(&variant.requests, plan.time).await?;
    let used = envoy.workers_cpu_time()?.saturating_sub(before);
    Ok(Turn { served, cpu: used.as_secs_f64() * 1e6 / served.requests.max(1) as f64 })
}

fn table(variants: &[Variant], all: &BTreeMap<String, Turns>) -> Table {
    let titles = [
        "variant",
        "CPU \u{b5}s/request",
        "min \u{2026} max",
        "added \u{b5}s",
        "req/s",
        "of bare",
        "p50 \u{b5}s",
        "p99 \u{b5}s",
    ];
    let mut table = Table::new(&titles);
    for variant in variants {
        let (Some(turns), Some(base)) = (all.get(&variant.name), all.get(&variant.base)) else { continue };
        let cpu = turns.cpu();
        let (lowest, highest) =
            cpu.iter().fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
        table.row(vec![
            variant.name.clone(),
            format!("{:.1}", median(&cpu)),
            format!("{lowest:.1} \u{2026} {highest:.1}"),
            format!("{:.1}", median(&paired(&cpu, &base.cpu(), |own, bare| own - bare))),
            format!("{:.0}", median(&turns.rate())),
            format!("{:.2}", median(&paired(&turns.rate(), &base.rate(), |own, bare| own / bare))),
            format!("{:.0}", median(&turns.values(|turn| turn.served.p50))),
            format!("{:.0}", median(&turns.values(|turn| turn.served.p99))),
        ]);
    }
    table
}

/// What a variant's requests cost more than those of its base, round by round.
fn added(all: &BTreeMap<String, Turns>, name: &str, base: &str) -> Option<Vec<f64>> {
    Some(paired(&all.get(name)?.cpu(), &all.get(base)?.cpu(), |own, bare| own - bare))
}

/// Adds every variant's figures, and the comparisons.
fn compare(variants: &[Variant], all: &BTreeMap<String, Turns>, report: &mut Report) {
    let add = |report: &mut Report, name: String, values: Vec<f64>, unit: &str| {
        for value in values {
            report.add("", [Figure::new(name.clone(), value, unit)]);
        }
    };
    for variant in variants {
        let Some(turns) = all.get(&variant.name) else { continue };
        let name = &variant.name;
        add(report, format!("gateway.cpu.{name}"), turns.cpu(), "us");
        if *name != variant.base {
            let values = added(all, name, &variant.base).unwrap_or_default();
            add(report, format!("gateway.cpu_added.{name}"), values, "us");
        }
        add(report, format!("gateway.rps.{name}"), turns.rate(), "1/s");
        add(report, format!("gateway.p50.{name}"), turns.values(|turn| turn.served.p50), "us");
        add(report, format!("gateway.p99.{name}"), turns.values(|turn| turn.served.p99), "us");
    }
    for (name, own, other) in [
        ("vs_wasm_noop", "portvakt_1m", "wasm_noop"),
        ("vs_same_calls", "portvakt_1m", "wasm_same_calls"),
        ("same_calls_vs_jwt_authn_cached_rbac", "wasm_same_calls", "jwt_authn_cached_rbac"),
        ("same_calls_first_sight_vs_jwt_authn", "wasm_same_calls_first_sight", "jwt_authn"),
        ("vs_jwt_authn_cached_rbac", "portvakt_1m", "jwt_authn_cached_rbac"),
        ("vs_jwt_authn_cached_ext_authz_grpc", "portvakt_1m", "jwt_authn_cached_ext_authz_grpc"),
        ("first_sight_vs_jwt_authn", "portvakt_1m_first_sight", "jwt_authn"),
        ("no_identity_vs_jwt_authn_cached_rbac", "portvakt_1m_no_identity", "jwt_authn_cached_rbac"),
        ("denial_vs_permit", "portvakt_1m_denial", "portvakt_1m"),
        ("shadow_vs_enforce", "portvakt_1m_shadow", "portvakt_1m"),
        ("in_turn_vs_jwt_authn_cached_rbac", "portvakt_1m_in_turn", "jwt_authn_cached_rbac"),
        // Decided anew each time: what is remembered of a token would need no row.
        ("rows_10m_vs_1k", "portvakt_10m_in_turn", "portvakt_1k_in_turn"),
    ] {
        if let (Some(own), Some(other)) = (added(all, own, BARE), added(all, other, BARE)) {
            add(report, format!("gateway.cpu.{name}"), paired(&own, &other, |own, other| own / other), "ratio");
        }
    }
    for (name, own, other) in [
        ("vs_jwt_authn_cached_rbac", "portvakt_1m", "jwt_authn_cached_rbac"),
        ("vs_jwt_authn_cached_ext_authz_grpc", "portvakt_1m", "jwt_authn_cached_ext_authz_grpc"),
        ("vs_bare", "portvakt_1m", BARE),
        ("same_calls_vs_jwt_authn_cached_rbac", "wasm_same_calls", "jwt_authn_cached_rbac"),
        ("same_calls_vs_bare", "wasm_same_calls", BARE),
        ("same_calls_vs_bare_upstream", "wasm_same_calls_upstream", BARE_UPSTREAM),
        ("vs_bare_upstream", "portvakt_1m_upstream", BARE_UPSTREAM),
    ] {
        if let (Some(own), Some(other)) = (all.get(own), all.get(other)) {
            let ratios = paired(&own.rate(), &other.rate(), |own, other| own / other);
            add(report, format!("gateway.rps.{name}"), ratios, "ratio");
        }
    }
}

/// What the module adds to Envoy besides work: time at its start, memory in each worker.
async fn around(plan: &Plan, stage: &Stage, variants: &[Variant], report: &mut Report) -> Result<()> {
    eprintln!("start-up and memory");
    let only = |name: &str| variants.iter().filter(|variant| variant.name == name).cloned().collect::<Vec<_>>();
    let (bare, ours) = (only(BARE), only("portvakt_1m"));
    for _ in 0..plan.starts {
        let without = stage.envoy(&bare, 1, "start").await?.ready_after;
        let with = stage.envoy(&ours, 1, "start").await?.ready_after;
        let added = (with.as_secs_f64() - without.as_secs_f64()) * 1e3;
        report.add("", [Figure::new("gateway.startup.bare_ms", without.as_secs_f64() * 1e3, "ms")]);
        report.add("", [Figure::new("gateway.startup.added_ms", added, "ms")]);
    }
    let mut of_one = Vec::new();
    for variants in [&bare, &ours] {
        let few = resident_megabytes(stage, variants, 1).await?;
        let many = resident_megabytes(stage, variants, WORKERS_MANY).await?;
        of_one.push((many - few) / f64::from(WORKERS_MANY - 1));
    }
    if let [without, with] = of_one[..] {
        let own = with - without;
        report.add("", [Figure::new("gateway.memory.per_worker_with_snapshot_mb", own, "MB")]);
        let snapshot = stage.image_megabytes("portvakt_1m")?;
        report.add("", [Figure::new("gateway.memory.per_worker_mb", own - snapshot, "MB")]);
    }
    Ok(())
}

/// Resident after every worker has served every caller.
async fn resident_megabytes(stage: &Stage, variants: &[Variant], workers: u32) -> Result<f64> {
    let envoy = stage.envoy(variants, workers, "memory").await?;
    for variant in variants {
        // Enough connections that each worker gets some.
        let mut load = Load::connect(envoy.address(&variant.name)?, CONNECTIONS * 4).await?;
        load.run(&variant.requests, Duration::from_secs(1)).await?;
    }
    Ok(envoy.observed().resident_bytes()? as f64 / 1e6)
}
