//! Cases put to a real Envoy: raw bytes to its listener, so that no client tidies a path, and a control plane that serves
//! what the case publishes.
//!
//! Cases that publish the same share an Envoy; its clock is real, so their tokens and snapshots are made for now.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use policies::Timestamp;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{CallSpec, Case, Expectation, Problem, Publication, publish_all, wasm};
use crate::envoy::{Envoy, EnvoySettings};
use crate::sample_api::{Echo, SampleApi};
use crate::wait;

/// Envoy runs a VM in each worker and one in its main thread; each follows the control plane.
const WORKERS: u32 = 1;
const VMS: usize = 2;
/// How long a poll is held when there is nothing new.
const HOLD: Duration = Duration::from_secs(20);
const BOUND: Duration = Duration::from_secs(30);

/// An Envoy that has been served what a case publishes.
pub struct CaseEnvoy {
    envoy: Envoy,
    address: SocketAddr,
    _sample_api: SampleApi,
    _control_plane: FakeControlPlane,
}

impl CaseEnvoy {
    /// Starts it and waits until every VM has applied what is good, and what is not was refused.
    pub async fn start(program: &Path, filter_wasm: &Path, published: &[Publication], folder: &Path) -> Result<Self> {
        let now = now();
        let bodies = publish_all(published, now)?.into_iter().map(|published| published.body.into());
        let control_plane = FakeControlPlane::start(bodies.collect()).await?;
        let sample_api = SampleApi::start().await?;
        let envoy = Envoy::start(&EnvoySettings {
            program: program.to_owned(),
            filter_wasm: filter_wasm.to_owned(),
            filter_configuration: wasm::filter_configuration()?,
            port: 0,
            workers: WORKERS,
            control_plane: control_plane.address,
            sample_api: sample_api.address(),
            directory: folder.to_owned(),
        })
        .await?;
        wait::until("every VM to have taken what was published", BOUND, async || {
            Ok(control_plane.are_all_done(VMS).then_some(()))
        })
        .await
        .with_context(|| envoy.log_tail())?;
        let address = envoy.base_url().trim_start_matches("http://").parse().context("Envoy's address")?;
        Ok(Self { envoy, address, _sample_api: sample_api, _control_plane: control_plane })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One line per call, with why it was answered as it was.
    pub fn access_log(&self) -> &Path {
        self.envoy.access_log()
    }

    /// All metrics as Prometheus reads them.
    pub async fn prometheus(&self) -> Result<String> {
        self.envoy.prometheus().await
    }

    /// Makes a call.
    pub async fn answer(&self, spec: &CallSpec) -> Result<Answer> {
        call(self.address, &spec.headers_at(now())?).await.with_context(|| self.envoy.log_tail())
    }

    /// Makes a call that must be answered so.
    pub async fn expect(&self, spec: &CallSpec, status: u16) -> Result<()> {
        let answer = self.answer(spec).await?;
        ensure!(answer.status == status, "answered {} {}, must {status}", answer.status, answer.body);
        Ok(())
    }

    /// How many snapshots were refused, over all VMs.
    pub async fn refused(&self) -> Result<u64> {
        Ok(self.envoy.stats("wasmcustom.portvakt.snapshot.refused").await?.values().sum())
    }

    /// Runs one case.
    pub async fn run(&self, case: &Case) -> Result<()> {
        let answer = call(self.address, &case.headers(now())?).await.with_context(|| self.envoy.log_tail())?;
        match &case.expect {
            Expectation::Permit { headers, .. } => {
                ensure!(answer.status == 200, "refused: {} {}", answer.status, answer.body);
                let echo: Echo = serde_json::from_str(&answer.body).context("the sample API's answer")?;
                for (name, value) in headers {
                    let got = echo.headers.get(name);
                    ensure!(got == value.as_ref(), "the API gets `{name}: {got:?}`");
                }
            }
            Expectation::Deny { reason, status, challenge } => {
                ensure!(answer.status == *status, "status {} {}", answer.status, answer.body);
                let problem: Problem = serde_json::from_str(&answer.body).context("the refusal is no problem body")?;
                ensure!(problem.code == *reason, "refused with {}", answer.body);
                let got = answer.headers.get("www-authenticate").cloned().unwrap_or_default();
                for part in challenge {
                    ensure!(got.contains(part.as_str()), "challenged with `{got}`");
                }
            }
        }
        Ok(())
    }
}

/// The real clock.
pub(crate) fn now() -> Timestamp {
    let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(0))
}

/// Serves each worker the bodies one after the other, then holds its polls.
pub(crate) struct FakeControlPlane {
    pub(crate) address: SocketAddr,
    served: Arc<Served>,
    serving: JoinHandle<()>,
}

struct Served {
    bodies: Vec<Bytes>,
    asked: Mutex<Asked>,
}

/// One VM asks for all, and tells of the others.
#[derive(Default)]
struct Asked {
    next: BTreeMap<String, usize>,
    /// What each VM has in force.
    applied: BTreeMap<String, Option<String>>,
    /// What is in force when nothing is left to be served; `None` before that.
    last: Option<Option<String>>,
}

impl Served {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever asks has been given everything, and every VM has in force what that comes to.
    fn are_all_done(&self, vms: usize) -> bool {
        let asked = self.asked();
        let is_everywhere = |last: &Option<String>| asked.applied.values().all(|applied| applied == last);
        asked.applied.len() == vms && asked.last.as_ref().is_some_and(is_everywhere)
    }
}

#[derive(Deserialize)]
struct Poll {
    worker: String,
    applied: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    workers: Vec<Poll>,
}

impl FakeControlPlane {
    /// Serves on a free loopback port.
    pub(crate) async fn start(bodies: Vec<Bytes>) -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), bodies).await
    }

    /// Serves at an address.
    pub(crate) async fn start_at(address: SocketAddr, bodies: Vec<Bytes>) -> Result<Self> {
        let listener = TcpListener::bind(address).await.context("no port for the control plane")?;
        let address = listener.local_addr()?;
        let served = Arc::new(Served { bodies, asked: Mutex::default() });
        let app = axum::Router::new()
            .route("/snapshots/regnskapsregisteret", get(poll))
            .route("/snapshots/regnskapsregisteret/workers", post(report))
            .with_state(Arc::clone(&served));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the control plane of the cases ended: {error}");
            }
        });
        Ok(Self { address, served, serving })
    }
}

impl FakeControlPlane {
    /// Everything has been served, and so many VMs have in force what that comes to.
    pub(crate) fn are_all_done(&self, vms: usize) -> bool {
        self.served.are_all_done(vms)
    }
}

impl Drop for FakeControlPlane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn poll(State(served): State<Arc<Served>>, Query(poll): Query<Poll>) -> Response {
    let body = {
        let mut asked = served.asked();
        asked.applied.insert(poll.worker.clone(), poll.applied.clone());
        let position = asked.next.entry(poll.worker).or_default();
        *position += 1;
        let body = served.bodies.get(*position - 1).cloned();
        if body.is_none() {
            asked.last = Some(poll.applied);
        }
        body
    };
    match body {
        Some(body) => ([(header::CONTENT_TYPE, "application/vnd.portvakt.snapshot")], body).into_response(),
        None => {
            tokio::time::sleep(HOLD).await;
            StatusCode::NOT_MODIFIED.into_response()
        }
    }
}

async fn report(State(served): State<Arc<Served>>, Json(report): Json<Report>) -> StatusCode {
    let applied = report.workers.into_iter().map(|worker| (worker.worker, worker.applied));
    served.asked().applied.extend(applied);
    StatusCode::NO_CONTENT
}

/// What came back.
pub struct Answer {
    pub status: u16,
    /// By name in lower case; of repeated ones the last.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// The answer has its whole body.
fn is_whole(bytes: &[u8], method: &str) -> bool {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(bytes.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    // Trailers-only of gRPC has neither length nor body.
    let expected = if method == "HEAD" || text.contains("\ngrpc-status:") { Some(0) } else { length };
    expected.is_some_and(|expected| bytes.len() >= head + 4 + expected)
}

/// One HTTP/1.1 call, written as it is: clients for people would tidy the path.
pub async fn call(address: SocketAddr, headers: &[(String, String)]) -> Result<Answer> {
    let pseudo = |name: &str| headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value.as_str());
    let mut request =
        format!("{} {} HTTP/1.1\r\nhost: {}\r\n", pseudo(":method"), pseudo(":path"), pseudo(":authority"));
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        // Envoy keeps a connection open for a second after an answer of its own, so it is left when all is there.
        while !is_whole(&bytes, pseudo(":method")) && stream.read_buf(&mut bytes).await? > 0 {}
        std::io::Result::Ok(bytes)
    };
    let bytes = tokio::time::timeout(BOUND, exchange).await.context("no answer in time")??;
    let text = String::from_utf8(bytes).context("the answer is not text")?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no body")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("the answer has no status")?;
    let mut named = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').context("a header has no name")?;
        let name: HeaderName = name.parse().context("a header has no name")?;
        named.insert(name.to_string(), value.trim().to_owned());
    }
    if named.contains_key("transfer-encoding") {
        bail!("the answer comes in chunks, which this client does not read");
    }
    Ok(Answer { status: status.parse()?, headers: named, body: body.to_owned() })
}
