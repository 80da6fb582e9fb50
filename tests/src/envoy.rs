//! A real Envoy with the filter: started on loopback ports, asked for its address and counters, killed when dropped.
//!
//! What it is configured with is in `bootstrap`. It is one process with its own log; nothing is shared between two.

mod bootstrap;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::http::loopback_client;
use crate::process::Process;
use crate::wait;

/// Loading and compiling the module takes V8 a few seconds on a slow machine.
const READY_SECONDS_MAX: u64 = 90;

const ACCESS_LOG: &str = "envoy-access.log";

/// What an Envoy is started with.
#[derive(Debug, Clone)]
pub struct EnvoySettings {
    pub program: PathBuf,
    /// The module that it loads as its filter.
    pub filter_wasm: PathBuf,
    /// The filter's own configuration.
    pub filter_configuration: Value,
    /// 0 takes a free port.
    pub port: u16,
    /// Worker threads, each with a VM of its own.
    pub workers: u32,
    pub control_plane: SocketAddr,
    pub sample_api: SocketAddr,
    /// Where its bootstrap, its logs and its address file go.
    pub directory: PathBuf,
}

/// A running Envoy that accepts calls.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    http: reqwest::Client,
    base_url: String,
    admin_url: String,
    access_log: PathBuf,
}

impl Envoy {
    /// Starts Envoy and waits until it listens.
    pub async fn start(settings: &EnvoySettings) -> Result<Self> {
        Self::start_with(settings, &Self::bootstrap(settings)).await
    }

    /// What Envoy is told.
    pub fn bootstrap(settings: &EnvoySettings) -> Value {
        bootstrap::render(settings, &settings.directory.join(ACCESS_LOG))
    }

    /// What it is told, with one cluster more.
    pub fn with_cluster(mut told: Value, name: &str, address: SocketAddr) -> Result<Value> {
        let clusters = told.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        clusters.context("a bootstrap without clusters")?.push(bootstrap::cluster(name, address));
        Ok(told)
    }

    /// Starts Envoy with a bootstrap that differs from the usual one, and waits until it listens.
    pub async fn start_with(settings: &EnvoySettings, told: &Value) -> Result<Self> {
        let directory = &settings.directory;
        fs::create_dir_all(directory).with_context(|| format!("could not make {}", directory.display()))?;
        let access_log = directory.join(ACCESS_LOG);
        let bootstrap = directory.join("envoy.json");
        fs::write(&bootstrap, format!("{told:#}"))
            .with_context(|| format!("could not write {}", bootstrap.display()))?;
        let admin_address = directory.join("envoy-admin-address");
        // A file of an Envoy before this one would be read as this one's.
        let _nothing_there_before = fs::remove_file(&admin_address);

        let mut command = Command::new(&settings.program);
        command
            .arg("--config-path")
            .arg(&bootstrap)
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--concurrency", &settings.workers.to_string()])
            .args(["--disable-hot-restart", "--log-level", "warning"])
            .args(["--component-log-level", "wasm:info"])
            // So that the access log can be read right after the call.
            .args(["--file-flush-interval-msec", "50"]);
        let mut process = Process::start("envoy", command, directory)?;
        let bound = Duration::from_secs(READY_SECONDS_MAX);
        let admin_url = format!("http://{}", process.base_url(&admin_address, bound).await?);
        let http = loopback_client()?;
        let listening = wait::until("Envoy to listen", bound, async || {
            process.check_alive()?;
            Ok(listening_port(&http, &admin_url).await)
        })
        .await;
        let port = listening.map_err(|error| process.explain(&error))?;
        let base_url = format!("http://127.0.0.1:{port}");
        Ok(Self { process, http, base_url, admin_url, access_log })
    }

    /// Where calls go: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address of the listener of this name.
    pub async fn address_of(&self, listener: &str) -> Result<SocketAddr> {
        let all = listeners(&self.http, &self.admin_url).await?;
        let found = all.into_iter().find(|(name, _)| name == listener);
        let (_, port) = found.with_context(|| format!("Envoy has no listener `{listener}`"))?;
        Ok(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// One line per call, with why it was answered as it was.
    pub fn access_log(&self) -> &Path {
        &self.access_log
    }

    /// The end of Envoy's log, for messages about a failure.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// All metrics as Prometheus reads them. Histograms come with Envoy's next flush, every 5 s.
    pub async fn prometheus(&self) -> Result<String> {
        let url = format!("{}/stats/prometheus", self.admin_url);
        let answer = self.http.get(url).send().await.context("Envoy's admin is gone")?;
        answer.text().await.context("Envoy's metrics cannot be read")
    }

    /// Counters and gauges whose name contains `part`.
    pub async fn stats(&self, part: &str) -> Result<BTreeMap<String, u64>> {
        #[derive(Deserialize)]
        struct Stats {
            stats: Vec<Stat>,
        }
        /// Histograms come as entries without name and value.
        #[derive(Deserialize)]
        struct Stat {
            name: Option<String>,
            value: Option<Value>,
        }
        let url = format!("{}/stats?format=json", self.admin_url);
        let answer = self.http.get(url).send().await.context("Envoy's admin is gone")?;
        let Stats { stats } = answer.json().await.context("Envoy's counters cannot be read")?;
        let wanted = stats.into_iter().filter_map(|stat| {
            let name = stat.name.filter(|name| name.contains(part))?;
            Some((name, stat.value?.as_u64()?))
        });
        Ok(wanted.collect())
    }
}

/// The port of the first listener, once Envoy is live and the listener is bound.
async fn listening_port(http: &reqwest::Client, admin_url: &str) -> Option<u16> {
    let ready = http.get(format!("{admin_url}/ready")).send().await.ok()?;
    if !ready.status().is_success() {
        return None;
    }
    let port = listeners(http, admin_url).await.ok()?.into_iter().next()?.1;
    (port != 0).then_some(port)
}

/// Names and ports of the listeners; all of them are on 127.0.0.1.
pub(crate) async fn listeners(http: &reqwest::Client, admin_url: &str) -> Result<Vec<(String, u16)>> {
    #[derive(Deserialize)]
    struct Listeners {
        listener_statuses: Vec<Listener>,
    }
    #[derive(Deserialize)]
    struct Listener {
        name: String,
        local_address: LocalAddress,
    }
    #[derive(Deserialize)]
    struct LocalAddress {
        socket_address: SocketAddress,
    }
    #[derive(Deserialize)]
    struct SocketAddress {
        port_value: u16,
    }
    let url = format!("{admin_url}/listeners?format=json");
    let listeners: Listeners = http.get(url).send().await?.json().await.context("Envoy's listeners cannot be read")?;
    let named = |listener: Listener| (listener.name, listener.local_address.socket_address.port_value);
    Ok(listeners.listener_statuses.into_iter().map(named).collect())
}
