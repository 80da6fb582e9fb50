//! The figures of the feed: how soon every worker of a real Envoy enforces what was published, how long calls stall
//! meanwhile, and what memory that takes. `cargo xtask bench feed`.
//!
//! A small control plane ([`publisher`]) signs and serves; a caller on each worker ([`probe`]) sees from its answers which
//! version decides. A time ends when the last worker has answered by the new version, so it holds a call too.

pub mod probe;
pub mod publisher;
pub mod recovery;
pub mod unknown_keys;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine_guest::figures::{Figure, median};
use serde_json::{Value, json};

use self::probe::{Probe, Sample};
use self::publisher::{Answers, Publisher};
use super::processors::Observed;
use super::report::{Bound, Bounds, Report};
use crate::envoy::{Envoy, EnvoySettings};
use crate::sample_api::SampleApi;

/// Longest that a publication may take until it is enforced.
const ENFORCED_MAX: Duration = Duration::from_secs(60);
/// How long calls are watched after the last worker has the new version.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// Updates after which memory counts: both places for a base have been used then, in every VM.
const MEMORY_WARM_UP: usize = 10;
/// Pause between two changes of one system user.
const BETWEEN_CHANGES: Duration = Duration::from_millis(40);

/// Figures with a bound.
pub const BOUNDS: Bounds = &[
    ("feed.change", Bound::AtMost(5.0)),
    ("feed.swap.10mib", Bound::AtMost(50.0)),
    ("feed.swap.64mib", Bound::AtMost(400.0)),
    ("feed.stall_longest.64mib", Bound::AtMost(50.0)),
    ("feed.memory_off_median", Bound::AtMost(5.0)),
    ("feed.recovery.killed", Bound::AtMost(1000.0)),
    ("feed.recovery.hung", Bound::AtMost(1000.0)),
    ("feed.recovery.failing", Bound::AtMost(1000.0)),
    ("feed.recovery.older", Bound::AtMost(1000.0)),
    ("feed.recovery.garbage", Bound::AtMost(1000.0)),
    ("feed.recovery.endless", Bound::AtMost(1000.0)),
    ("feed.recovery.slow", Bound::AtMost(1000.0)),
    ("feed.decisions_changed_while_failing", Bound::AtMost(0.0)),
    ("feed.unknown_keys.fetches_an_interval", Bound::AtMost(1.0)),
    ("feed.unknown_keys.valid_callers_refused", Bound::AtMost(0.0)),
];

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    pub envoy: PathBuf,
    pub filter_wasm: PathBuf,
    /// Where Envoy's files go.
    pub directory: PathBuf,
    pub workers: u32,
    /// Changes of one system user.
    pub changes: usize,
    /// Swaps of a base of each size.
    pub swaps: usize,
    /// Updates of 10 MiB over which memory is watched.
    pub updates: usize,
    /// Recoveries from each fault.
    pub recoveries: u32,
    /// How long tokens with unknown keys come.
    pub flood_seconds: u64,
    /// The middle and the large base, in bytes.
    pub sizes: Vec<(String, usize)>,
}

/// Measures all of it.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    for (name, bytes) in &plan.sizes {
        let mut publisher = Publisher::new(*bytes)?;
        report.add(name, [Figure::new("feed.image", mebibytes(publisher.image_bytes()), "MiB")]);
        let gateway = Gateway::start(plan, &publisher)?;
        report.add(name, [gateway.first_base(&publisher)?]);
        let is_smallest = plan.sizes.first().is_some_and(|(first, _)| first == name);
        if is_smallest {
            gateway.changes(&mut publisher, plan.changes, report)?;
        }
        gateway.swaps(&mut publisher, plan.swaps, name, report)?;
        if is_smallest {
            gateway.memory(&mut publisher, plan.updates, report)?;
        }
    }
    recovery::run(plan, report)?;
    unknown_keys::run(plan, plan.flood_seconds, report)
}

struct Gateway {
    envoy: Envoy,
    probes: Vec<Probe>,
    started: Instant,
    _sample_api: SampleApi,
    // Last: what the others hang on.
    _runtime: tokio::runtime::Runtime,
}

impl Gateway {
    fn start(plan: &Plan, publisher: &Publisher) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let started = Instant::now();
        let (envoy, sample_api) = runtime.block_on(async {
            let sample_api = SampleApi::start().await?;
            let control_plane = publisher.serve().await?;
            let envoy = Envoy::start(&EnvoySettings {
                program: plan.envoy.clone(),
                filter_wasm: plan.filter_wasm.clone(),
                filter_configuration: configuration(publisher)?,
                port: 0,
                workers: plan.workers,
                control_plane,
                sample_api: sample_api.address(),
                directory: plan.directory.clone(),
            })
            .await?;
            anyhow::Ok((envoy, sample_api))
        })?;
        let address = envoy.base_url().trim_start_matches("http://").parse().context("Envoy's address")?;
        // The listener spreads connections evenly: one on each worker.
        let probes =
            (0..plan.workers).map(|_| Probe::start(address, publisher.probe_call()?)).collect::<Result<_>>()?;
        Ok(Self { envoy, probes, started, _sample_api: sample_api, _runtime: runtime })
    }

    fn observed(&self) -> Observed {
        Observed::new(self.envoy.process_id())
    }

    fn workers(&self) -> u32 {
        u32::try_from(self.probes.len()).unwrap_or(u32::MAX)
    }

    /// From the start of Envoy to the first decision, on every worker.
    fn first_base(&self, publisher: &Publisher) -> Result<Figure> {
        let took = self.enforced(self.started, publisher.expected())?;
        Ok(Figure::new("feed.start", took.as_secs_f64() * 1e3, "ms"))
    }

    /// Waits until every worker answers so; gives how long after `since` the last one first did.
    fn enforced(&self, since: Instant, expected: Answers) -> Result<Duration> {
        let bound = Instant::now() + ENFORCED_MAX;
        let mut latest = since;
        for probe in &self.probes {
            let first = loop {
                if let Some(sample) = probe.first_since(since, |sample| sample.is_answer(expected.needle())) {
                    break sample.received();
                }
                ensure!(Instant::now() < bound, "not enforced in time; Envoy said last:\n{}", self.envoy.log_tail());
                super::pause(Duration::from_millis(2));
            };
            latest = latest.max(first);
        }
        Ok(latest - since)
    }

    fn changes(&self, publisher: &mut Publisher, changes: usize, report: &mut Report) -> Result<()> {
        let call = publisher.system_user_call()?;
        for probe in &self.probes {
            probe.set_call(call.clone());
        }
        super::pause(AFTERWARDS);
        for _ in 0..changes {
            publisher.prepare_change()?;
            let published_at = publisher.publish();
            let took = self.enforced(published_at, publisher.expected_of_system_user())?;
            report.add("", [Figure::new("feed.change", took.as_secs_f64() * 1e3, "ms")]);
            super::pause(BETWEEN_CHANGES);
        }
        let call = publisher.probe_call()?;
        for probe in &self.probes {
            probe.set_call(call.clone());
        }
        Ok(())
    }

    fn swaps(&self, publisher: &mut Publisher, swaps: usize, name: &str, report: &mut Report) -> Result<()> {
        let (mut stall, mut stall_without): (Duration, Duration) = Default::default();
        for _ in 0..swaps {
            publisher.prepare_base()?;
            super::pause(2 * AFTERWARDS);
            let quiet_until = Instant::now();
            let before = Ran::of(self.observed(), self.workers())?;
            let published_at = publisher.publish();
            let took = self.enforced(published_at, publisher.expected())?;
            report.add(name, [Figure::new("feed.swap", took.as_secs_f64() * 1e3, "ms")]);
            let ran = Ran::between(&before, &Ran::of(self.observed(), self.workers())?);
            report.add(name, [Figure::new("feed.swap_cpu_of_worker", ran.worker.as_secs_f64() * 1e3, "ms")]);
            report.add(name, [Figure::new("feed.swap_cpu_of_all", ran.all.as_secs_f64() * 1e3, "ms")]);
            super::pause(AFTERWARDS);
            let watched = took + AFTERWARDS;
            stall = stall.max(self.longest(published_at, watched));
            let quiet = watched.min(2 * AFTERWARDS);
            stall_without = stall_without.max(self.longest(quiet_until - quiet, quiet));
        }
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        report.add(name, [Figure::new("feed.stall_longest", millis(stall), "ms")]);
        report.add(name, [Figure::new("feed.stall_longest_without_swap", millis(stall_without), "ms")]);
        Ok(())
    }

    /// The call that took longest among those that were under way in that time.
    fn longest(&self, from: Instant, length: Duration) -> Duration {
        let during = |sample: &&Sample| sample.sent < from + length && sample.received() > from;
        let of = |probe: &Probe| probe.samples().iter().filter(during).map(|sample| sample.took).max();
        self.probes.iter().filter_map(of).max().unwrap_or_default()
    }

    fn memory(&self, publisher: &mut Publisher, updates: usize, report: &mut Report) -> Result<()> {
        let mut resident = Vec::new();
        for _ in 0..updates {
            publisher.prepare_base()?;
            let published_at = publisher.publish();
            self.enforced(published_at, publisher.expected())?;
            super::pause(AFTERWARDS);
            resident.push(self.observed().resident_bytes()? as f64);
        }
        let counted: Vec<f64> = resident.into_iter().skip(MEMORY_WARM_UP).collect();
        let middle = median(&counted);
        let off = counted.iter().map(|bytes| (bytes - middle).abs()).fold(0.0, f64::max);
        report.add("", [Figure::new("feed.memory", middle / f64::from(1 << 20), "MiB")]);
        report.add("", [Figure::new("feed.memory_off_median", off / middle * 100.0, "%")]);
        Ok(())
    }
}

fn configuration(publisher: &Publisher) -> Result<Value> {
    Ok(json!({
        "provider": "generated",
        "gateway": "bench",
        "controlPlane": {"cluster": "control-plane", "authority": "control-plane", "credential": "bench"},
        "snapshotKeys": [publisher.key_pem()?],
        "hold": {"callsMax": 100, "millisecondsMax": 60_000},
        "realm": "bench",
    }))
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// How long Envoy's threads have run.
struct Ran {
    /// The worker that ran longest.
    worker: Duration,
    all: Duration,
}

impl Ran {
    fn of(envoy: Observed, workers: u32) -> Result<Vec<Duration>> {
        let of_worker = |worker| envoy.cpu_time_of(move |name| name == format!("wrk:worker_{worker}"));
        let workers = (0..workers).map(of_worker).collect::<Result<Vec<_>>>()?;
        Ok([workers, vec![envoy.cpu_time()?]].concat())
    }

    fn between(before: &[Duration], after: &[Duration]) -> Self {
        let mut ran: Vec<Duration> =
            before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before)).collect();
        let all = ran.pop().unwrap_or_default();
        Self { worker: ran.into_iter().max().unwrap_or_default(), all }
    }
}
