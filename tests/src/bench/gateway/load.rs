//! Load: connections that are kept alive, each with one request under way, over requests that were made beforehand.
//!
//! One thread, so that it can be kept to one processor. It reads of an answer what it must: status and length.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Requests that are sent one after the other, again and again, and what each is to be answered with.
#[derive(Debug, Clone)]
pub struct Requests {
    pub requests: Arc<Vec<Vec<u8>>>,
    pub status: u16,
}

/// What came of some load.
#[derive(Debug, Clone, Copy)]
pub struct Served {
    pub requests: u64,
    pub seconds: f64,
    /// Microseconds from a request to the whole answer.
    pub p50: f64,
    pub p99: f64,
    pub longest: f64,
}

impl Served {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds.max(1e-9)
    }
}

/// One request on a connection of its own; gives the status of the answer.
pub async fn ask(address: SocketAddr, request: &[u8]) -> Result<u16> {
    Connection::to(address).await?.ask(request).await
}

/// Connections to one address.
pub struct Load {
    connections: Vec<Connection>,
    next: Rc<Cell<usize>>,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// Nanoseconds from each request to its whole answer.
    latencies: Vec<u32>,
}

impl Load {
    /// Connects.
    pub async fn connect(address: SocketAddr, connections: usize) -> Result<Self> {
        let mut load = Self { connections: Vec::new(), next: Rc::default() };
        for _ in 0..connections {
            load.connections.push(Connection::to(address).await?);
        }
        Ok(load)
    }

    /// Sends requests for so long. An answer with another status fails the whole.
    pub async fn run(&mut self, requests: &Requests, time: Duration) -> Result<Served> {
        let started = Instant::now();
        let local = LocalSet::new();
        let runs: Vec<_> = self
            .connections
            .drain(..)
            .map(|connection| local.spawn_local(connection.run(requests.clone(), Rc::clone(&self.next), started, time)))
            .collect();
        local.await;
        let mut latencies: Vec<f64> = Vec::new();
        for run in runs {
            let mut connection = run.await??;
            latencies.extend(connection.latencies.drain(..).map(|nanoseconds| f64::from(nanoseconds) / 1000.0));
            self.connections.push(connection);
        }
        let seconds = started.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        Ok(Served {
            requests: latencies.len() as u64,
            seconds,
            p50: quantile_of_sorted(&latencies, 0.5),
            p99: quantile_of_sorted(&latencies, 0.99),
            longest: latencies.last().copied().unwrap_or(0.0),
        })
    }
}

fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    let position = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(position).copied().unwrap_or(0.0)
}

impl Connection {
    async fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the gateway does not listen")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096), latencies: Vec::new() })
    }

    async fn run(
        mut self,
        requests: Requests,
        next: Rc<Cell<usize>>,
        started: Instant,
        time: Duration,
    ) -> Result<Self> {
        let mut sent = Instant::now();
        while sent.duration_since(started) < time {
            let position = next.get();
            next.set(if position + 1 < requests.requests.len() { position + 1 } else { 0 });
            let request = requests.requests.get(position).context("there are no requests")?;
            let status = self.ask(request).await?;
            ensure!(status == requests.status, "answered with {status} instead of {}", requests.status);
            let now = Instant::now();
            self.latencies.push(u32::try_from(now.duration_since(sent).as_nanos()).unwrap_or(u32::MAX));
            sent = now;
        }
        Ok(self)
    }

    /// One request; gives the status of the answer.
    async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the gateway closed the connection");
            }
            if let Some((status, length)) = answer(&self.received)? {
                ensure!(length <= self.received.len(), "more came than was asked for");
                if length == self.received.len() {
                    return Ok(status);
                }
            }
            ensure!(self.received.len() < ANSWER_BYTES_MAX, "an answer without end");
        }
    }
}

/// Status and length of the answer that begins here; `None` until its header is there.
fn answer(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(header_bytes) = answer.parse(bytes).context("no HTTP")? else { return Ok(None) };
    let length = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let status = answer.code.context("no status")?;
    Ok(Some((status, header_bytes + length.context("an answer without length")?)))
}
