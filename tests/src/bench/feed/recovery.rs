//! How soon gateways follow again when a control plane that failed is well; and whether anything but what was signed
//! decided meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine_guest::figures::Figure;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Plan;
use super::probe::Probe;
use crate::bench::report::Report;
use crate::cases::{TokenSpec, mint, wasm};
use crate::envoy::{Envoy, EnvoySettings};
use crate::faults::{Fault, FaultyControlPlane, now};
use crate::sample_api::SampleApi;

/// How long each fault lasts: longer than any wait between two tries.
const FAILING: Duration = Duration::from_secs(3);
/// How long a token lives.
const TOKEN_SECONDS: u64 = 300;
const BOUND: Duration = Duration::from_secs(60);

/// A gateway before a control plane that can fail.
pub(super) struct Stage {
    pub(super) address: SocketAddr,
    control_plane: FaultyControlPlane,
    _envoy: Envoy,
    _sample_api: SampleApi,
    // Last: what the others hang on.
    runtime: Runtime,
}

impl Stage {
    pub(super) fn set(plan: &Plan, change: impl Fn(&mut Value)) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut filter_configuration = wasm::filter_configuration()?;
        change(&mut filter_configuration);
        let (control_plane, envoy, sample_api) = runtime.block_on(async {
            let control_plane = FaultyControlPlane::start().await?;
            let sample_api = SampleApi::start().await?;
            let envoy = Envoy::start(&EnvoySettings {
                program: plan.envoy.clone(),
                filter_wasm: plan.filter_wasm.clone(),
                filter_configuration,
                port: 0,
                workers: plan.workers,
                control_plane: control_plane.address(),
                sample_api: sample_api.address(),
                directory: plan.directory.clone(),
            })
            .await?;
            anyhow::Ok((control_plane, envoy, sample_api))
        })?;
        let address = envoy.base_url().trim_start_matches("http://").parse().context("Envoy's address")?;
        Ok(Self { address, control_plane, _envoy: envoy, _sample_api: sample_api, runtime })
    }

    /// How often it was asked for an issuer's keys.
    pub(super) fn keys_asked(&self) -> usize {
        self.control_plane.keys_asked()
    }
}

/// Measures the recovery from every fault.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    let mut stage = Stage::set(plan, |_| {})?;
    let Stage { address, control_plane, runtime, .. } = &mut stage;
    let probe = |_| Probe::start(*address, call(TOKEN_SECONDS)?);
    let probes: Vec<Probe> = (0..plan.workers).map(probe).collect::<Result<_>>()?;
    enforced(&probes, Instant::now(), control_plane.version())?;
    let mut wrong = 0;
    for round in 0..plan.recoveries {
        for fault in Fault::ALL {
            let version = control_plane.version();
            for probe in &probes {
                probe.set_call(call(TOKEN_SECONDS)?);
            }
            let failed_at = Instant::now();
            control_plane.fail(fault);
            // Not always the same moment between two tries.
            crate::bench::pause(FAILING + Duration::from_millis(170) * round);
            let until = Instant::now();
            for sample in probes.iter().flat_map(Probe::samples) {
                let is_meanwhile = sample.sent > failed_at && sample.received() < until;
                wrong += u32::from(is_meanwhile && !sample.is_answer(answer(version)));
            }
            runtime.block_on(async { control_plane.heal() })?;
            let well_at = Instant::now();
            let version = control_plane.publish()?;
            let took = enforced(&probes, well_at, version)?;
            report.add(fault.word(), [Figure::new("feed.recovery", took.as_secs_f64() * 1e3, "ms")]);
        }
    }
    report.add("", [Figure::new("feed.decisions_changed_while_failing", f64::from(wrong), "calls")]);
    Ok(())
}

/// A call that the odd versions permit and the even ones refuse.
pub(super) fn call(seconds: u64) -> Result<Arc<[u8]>> {
    let spec: TokenSpec = serde_json::from_value(json!({"claims": {"exp": {"now": seconds}}}))?;
    let token = mint(&spec, now())?;
    let head = "GET /vat/310247049/returns HTTP/1.1\r\nhost: api.example.no\r\n";
    Ok(format!("{head}authorization: Bearer {token}\r\n\r\n").into_bytes().into())
}

fn answer(version: u64) -> &'static str {
    if version % 2 == 1 { "200" } else { "system_user_withdrawn" }
}

pub(super) fn enforced(probes: &[Probe], since: Instant, version: u64) -> Result<Duration> {
    let bound = Instant::now() + BOUND;
    let mut latest = since;
    for probe in probes {
        let first = loop {
            if let Some(sample) = probe.first_since(since, |sample| sample.is_answer(answer(version))) {
                break sample.received();
            }
            ensure!(Instant::now() < bound, "version {version} is not enforced in time");
            crate::bench::pause(Duration::from_millis(2));
        };
        latest = latest.max(first);
    }
    Ok(latest - since)
}
