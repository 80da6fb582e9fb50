//! The Envoy that is measured: started, kept to one processor, asked where its listeners are.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::bootstrap;
use crate::bench::processors::Observed;
use crate::envoy;
use crate::http::loopback_client;
use crate::process::Process;
use crate::wait;

/// Compiling several modules on a machine that is busy takes a while.
const READY_TIME_MAX: Duration = Duration::from_secs(120);

/// A running Envoy.
pub struct Running {
    process: Process,
    listeners: BTreeMap<String, u16>,
    /// From its start until it was ready.
    pub ready_after: Duration,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub async fn start(
        program: &Path,
        rendered: &Value,
        workers: u32,
        processors: &[usize],
        folder: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = folder.join("envoy.json");
        bootstrap::write(rendered, &file)?;
        let address = folder.join("admin-address");
        // A file of an Envoy before this one would be read as this one's.
        let _nothing_there_before = fs::remove_file(&address);
        let mut command = Command::new(program);
        command.arg("--config-path").arg(&file).arg("--admin-address-path").arg(&address);
        command.args(["--concurrency", &workers.to_string(), "--disable-hot-restart", "--log-level", "warning"]);
        let started = Instant::now();
        let mut process = Process::start("envoy", command, folder)?;
        Observed::new(process.id()).pin(processors)?;
        let admin = process.base_url(&address, READY_TIME_MAX).await?;
        let http = loopback_client()?;
        let ready = format!("http://{admin}/ready");
        let waited = wait::until("Envoy to be ready", READY_TIME_MAX, async || {
            process.check_alive()?;
            let answer = http.get(&ready).send().await.ok();
            Ok(answer.filter(|answer| answer.status().is_success()).map(|_| ()))
        });
        waited.await.map_err(|error| process.explain(&error))?;
        let ready_after = started.elapsed();
        // Threads that had started before it was kept to its processors.
        Observed::new(process.id()).pin(processors)?;
        let listeners = envoy::listeners(&http, &format!("http://{admin}")).await?.into_iter().collect();
        Ok(Self { process, listeners, ready_after })
    }

    /// Where a listener is.
    pub fn address(&self, name: &str) -> Result<SocketAddr> {
        let port = self.listeners.get(name).with_context(|| format!("Envoy has no listener `{name}`"))?;
        Ok(SocketAddr::from(([127, 0, 0, 1], *port)))
    }

    /// Its CPU and memory.
    pub fn observed(&self) -> Observed {
        Observed::new(self.process.id())
    }

    /// CPU time of its workers.
    pub fn workers_cpu_time(&self) -> Result<Duration> {
        self.observed().cpu_time_of(|name| name.starts_with("wrk:"))
    }

    /// The error with the end of Envoy's log.
    pub fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        self.process.explain(error)
    }
}
