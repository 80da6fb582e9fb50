//! How the cost of a call grows: with rows, routes, tokens in use, headers and workers. Each point is a listener of its own.

use std::path::Path;

use anyhow::{Context as _, Result};
use engine_guest::figures::{Figure, median};

use super::callers::{Callers, Kind, Signer};
use super::load::Requests;
use super::stage::{Snapshot, Stage};
use super::variants::{BARE, Portvakt, Variant, portvakt, variant};
use super::{Plan, TOKENS, added, take_turns, turn};
use crate::bench::plot::{Line, Plot};
use crate::bench::report::Report;

/// Rows of the snapshots that something else than rows grows in.
const ROWS: u32 = 100_000;
/// Headers of a request without more.
const HEADERS: usize = 5;
const WORKERS: [u32; 3] = [1, 2, 4];

/// What grows, at one size.
struct Point {
    of: &'static str,
    size: f64,
    variant: Variant,
}

/// Measures every point, and writes a plot for each thing that grows.
pub async fn run(plan: &Plan, stage: &Stage, folder: &Path, report: &mut Report) -> Result<()> {
    let points = points(stage)?;
    let (callers, snapshot) = stage.snapshot("growth_workers", Snapshot::of_rows(ROWS))?;
    let good = callers.requests(Kind::Good, TOKENS, 0, 200)?;
    let mut variants = vec![variant(BARE, vec![], false, good.clone())];
    for point in &points {
        if point.variant.base != BARE {
            variants.push(variant(&point.variant.base, vec![], false, point.variant.requests.clone()));
        }
        variants.push(point.variant.clone());
    }
    let envoy = stage.envoy(&variants, 1, "growth").await?;
    let turns = take_turns(plan, &envoy, &variants).await.map_err(|error| envoy.explain(&error))?;
    drop(envoy);
    for (of, title, x) in [
        ("rows", "Rows (system user, party) in the snapshot", "rows"),
        ("routes", "Routes", "routes"),
        ("tokens", "Tokens in use", "tokens"),
        ("headers", "Headers of a request", "headers"),
    ] {
        let mut line = Vec::new();
        for point in points.iter().filter(|point| point.of == of) {
            let values = added(&turns, &point.variant.name, &point.variant.base).context("a point was not measured")?;
            report.add("", [Figure::new(format!("gateway.growth.{of}.{}", point.size), median(&values), "us")]);
            line.push((point.size, median(&values)));
        }
        write(folder, of, title, x, vec![Line { name: "Portvakt, added".to_owned(), points: line }])?;
    }
    workers(plan, stage, &snapshot, &good, folder, report).await
}

/// Every worker has a VM; a request costs what it costs with one, as long as there are processors.
async fn workers(
    plan: &Plan,
    stage: &Stage,
    snapshot: &Portvakt,
    good: &Requests,
    folder: &Path,
    report: &mut Report,
) -> Result<()> {
    let variants =
        [variant(BARE, vec![], false, good.clone()), portvakt("growth_workers", snapshot, false, good.clone())];
    let mut lines = vec![Vec::new(), Vec::new()];
    for workers in WORKERS {
        let envoy = stage.envoy(&variants, workers, "workers").await?;
        for (variant, line) in variants.iter().zip(&mut lines) {
            let mut values = Vec::new();
            for _ in 0..plan.rounds {
                values.push(turn(plan, &envoy, variant).await?.cpu);
            }
            let name = format!("gateway.growth.workers.{workers}.{}", variant.name);
            report.add("", [Figure::new(name, median(&values), "us")]);
            line.push((f64::from(workers), median(&values)));
        }
    }
    let names = ["bare Envoy", "with Portvakt"];
    let lines = names.iter().zip(lines).map(|(name, points)| Line { name: (*name).to_owned(), points });
    write(folder, "workers", "Workers on one processor", "workers", lines.collect())
}

fn write(folder: &Path, of: &str, title: &str, x: &str, lines: Vec<Line>) -> Result<()> {
    let plot = Plot { title: title.to_owned(), x: x.to_owned(), y: "CPU \u{b5}s".to_owned(), lines };
    let file = folder.join(format!("cost-by-{of}.svg"));
    std::fs::write(&file, plot.svg()).with_context(|| format!("{} cannot be written", file.display()))
}

fn points(stage: &Stage) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    let mut add =
        |of: &'static str, size: usize, variant: Variant| points.push(Point { of, size: size as f64, variant });
    let rows = [
        ("growth_rows_1k", 1_000),
        ("growth_rows_10k", 10_000),
        ("growth_rows_100k", 100_000),
        ("growth_rows_1m", 1_000_000),
        ("growth_rows_10m", 10_000_000),
    ];
    for (name, rows) in rows {
        let (callers, snapshot) = stage.snapshot(name, Snapshot::of_rows(rows))?;
        add("rows", rows as usize, portvakt(name, &snapshot, false, callers.requests_in_turn(TOKENS, 200)?));
    }
    let routes = [
        ("growth_routes_1", 1),
        ("growth_routes_10", 10),
        ("growth_routes_100", 100),
        ("growth_routes_1k", 1_000),
        ("growth_routes_10k", 10_000),
    ];
    for (name, routes) in routes {
        let of = Snapshot { routes: Some(routes), signer: Signer::Es256, ..Snapshot::of_rows(ROWS) };
        let (callers, snapshot) = stage.snapshot(name, of)?;
        add("routes", routes, portvakt(name, &snapshot, false, callers.requests_on(routes)?));
    }
    let of = Snapshot { tokens: 100_000, signer: Signer::Es256, ..Snapshot::of_rows(ROWS) };
    let (callers, snapshot) = stage.snapshot("growth_tokens", of)?;
    let snapshot = stage.with("growth_tokens_large", &snapshot, "tokenCache", r#"{"tokensMax":262144}"#)?;
    for tokens in [1, 10, 100, 1_000, 10_000, 100_000] {
        let name = format!("growth_tokens_{tokens}");
        add("tokens", tokens, portvakt(&name, &snapshot, false, callers.requests(Kind::Good, tokens, 0, 200)?));
    }
    add_headers(&callers, &snapshot, &mut add)?;
    Ok(points)
}

fn add_headers(
    callers: &Callers,
    snapshot: &Portvakt,
    add: &mut impl FnMut(&'static str, usize, Variant),
) -> Result<()> {
    for headers in [5, 10, 20, 50, 100] {
        let requests = callers.requests(Kind::Good, TOKENS, headers - HEADERS, 200)?;
        let mut of_so_many = portvakt(&format!("growth_headers_{headers}"), snapshot, false, requests);
        of_so_many.base = format!("bare_headers_{headers}");
        add("headers", headers, of_so_many);
    }
    Ok(())
}
