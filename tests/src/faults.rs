//! A control plane that can be made to fail: signed snapshots of a small provider, served well, or as a broken one would.
//!
//! It speaks HTTP/1.1 by hand, so that it can do what no proper server does. What it publishes takes turns: in versions
//! with odd numbers a system user of the cases may act, in those with even numbers it is withdrawn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use policies::Timestamp;
use serde_json::json;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::cases::{Publication, publish_all};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Killed: nobody listens.
    Killed,
    /// It takes calls and never answers.
    Hung,
    /// Every call is answered with 500.
    Failing,
    /// It gives a version from before, signed.
    Older,
    /// It gives what nobody signed.
    Garbage,
    /// A body without an end, as fast as it goes.
    Endless,
    /// The right body, a byte at a time.
    Slow,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 7] =
        [Self::Killed, Self::Hung, Self::Failing, Self::Older, Self::Garbage, Self::Endless, Self::Slow];

    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Hung => "hung",
            Self::Failing => "failing",
            Self::Older => "older",
            Self::Garbage => "garbage",
            Self::Endless => "endless",
            Self::Slow => "slow",
        }
    }
}

#[derive(Debug, Clone)]
struct State {
    fault: Option<Fault>,
    version: u64,
    body: Arc<[u8]>,
    before: Arc<[u8]>,
}

/// The control plane; it ends with this value.
pub struct FaultyControlPlane {
    address: SocketAddr,
    /// Keeps the port while nobody listens.
    _port: TcpSocket,
    state: watch::Sender<State>,
    asked: Arc<AtomicUsize>,
    keys_asked: Arc<AtomicUsize>,
    serving: Option<JoinHandle<()>>,
}

impl FaultyControlPlane {
    /// Serves version 1 on a free port.
    pub async fn start() -> Result<Self> {
        let port = bound(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = port.local_addr()?;
        let listener = listen(address)?;
        let body = piece(1)?;
        let state = watch::Sender::new(State { fault: None, version: 1, before: Arc::clone(&body), body });
        let mut control_plane =
            Self { address, _port: port, state, asked: Arc::default(), keys_asked: Arc::default(), serving: None };
        control_plane.serve(listener);
        Ok(control_plane)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was asked for a snapshot.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How often it was asked for an issuer's keys, which it does not have.
    pub fn keys_asked(&self) -> usize {
        self.keys_asked.load(Ordering::SeqCst)
    }

    /// The version that is published.
    pub fn version(&self) -> u64 {
        self.state.borrow().version
    }

    /// Publishes the next version; gives its number.
    pub fn publish(&self) -> Result<u64> {
        let version = self.version() + 1;
        let body = piece(version)?;
        self.state.send_modify(|state| {
            state.before = std::mem::replace(&mut state.body, body);
            state.version = version;
        });
        Ok(version)
    }

    /// Breaks, for the calls that are under way too.
    pub fn fail(&mut self, fault: Fault) {
        if fault == Fault::Killed {
            self.serving.take().inspect(|serving| serving.abort());
        }
        self.state.send_modify(|state| state.fault = Some(fault));
    }

    /// Is well again; to be called where there is a runtime, as it serves again.
    pub fn heal(&mut self) -> Result<()> {
        self.state.send_modify(|state| state.fault = None);
        if self.serving.is_none() {
            self.serve(listen(self.address)?);
        }
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener) {
        let (state, asked) = (self.state.subscribe(), Arc::clone(&self.asked));
        let keys_asked = Arc::clone(&self.keys_asked);
        self.serving = Some(tokio::spawn(async move {
            // Ends with the task, and its connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, state.clone(), Arc::clone(&asked), Arc::clone(&keys_asked)));
            }
        }));
    }
}

impl Drop for FaultyControlPlane {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// A socket at this address, which others of this process may share.
fn bound(address: SocketAddr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address).context("no port for the control plane")?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    bound(address)?.listen(128).context("the control plane cannot listen")
}

/// A base of this version, sealed.
fn piece(version: u64) -> Result<Arc<[u8]>> {
    let document = if version % 2 == 1 { "walk" } else { "walk-withdrawn" };
    let publication: Publication = serde_json::from_value(json!({"version": version, "document": document}))?;
    let published = publish_all(&[publication], now())?.pop().context("nothing published")?;
    Ok(published.body.into())
}

/// The time, as gateways know it.
pub fn now() -> Timestamp {
    let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(0))
}

async fn converse(
    mut stream: TcpStream,
    mut state: watch::Receiver<State>,
    asked: Arc<AtomicUsize>,
    keys_asked: Arc<AtomicUsize>,
) {
    while let Some(head) = read_call(&mut stream).await {
        if head.starts_with("GET /jwks") {
            keys_asked.fetch_add(1, Ordering::SeqCst);
            let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
            continue;
        }
        let is_poll = head.starts_with("GET ");
        asked.fetch_add(usize::from(is_poll), Ordering::SeqCst);
        let answered = if is_poll {
            answer(&mut stream, &mut state, &head).await
        } else {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await
        };
        if answered.is_err() {
            return;
        }
    }
}

/// The head of the next call; its body is read and dropped.
async fn read_call(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(bytes.get(..end)?).to_ascii_lowercase();
            let length = value(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let missing: usize = (end + 4 + length).checked_sub(bytes.len())?;
            stream.read_exact(&mut vec![0; missing]).await.ok()?;
            // Methods are told by their letter case.
            return Some(head.replacen("get ", "GET ", 1));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

async fn answer(stream: &mut TcpStream, state: &mut watch::Receiver<State>, head: &str) -> std::io::Result<()> {
    let known = value(head, "if-none-match").and_then(|tag| tag.trim_matches('"').split_once('.')?.1.parse().ok());
    let wait = value(head, "prefer").and_then(|wait| wait.strip_prefix("wait=")?.parse().ok()).unwrap_or(0);
    let is_due = |state: &State| {
        state.fault.is_some_and(|fault| fault != Fault::Hung)
            || state.fault.is_none() && known.is_none_or(|known: u64| known < state.version)
    };
    let due = tokio::time::timeout(Duration::from_secs(wait), state.wait_for(is_due)).await;
    let due = due.map(|current| current.map(|current| current.clone()));
    let is_hung = state.borrow().fault == Some(Fault::Hung);
    let current = match due {
        Ok(Ok(current)) => current,
        Ok(Err(_)) => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Err(_) if is_hung => {
            // The gateway gives up at some time, unless this is over first.
            let healed = state.wait_for(|state| state.fault != Some(Fault::Hung)).await;
            healed.map_err(|_| std::io::ErrorKind::ConnectionReset)?.clone()
        }
        Err(_) => return stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n").await,
    };
    let with_length = |status: &str, version: u64, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\netag: \"1.{version}\"\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    match current.fault {
        None => stream.write_all(&with_length("200 OK", current.version, &current.body)).await,
        Some(Fault::Older) => stream.write_all(&with_length("200 OK", current.version + 1, &current.before)).await,
        Some(Fault::Garbage) => {
            let garbage: Vec<u8> = current.body.iter().map(|byte| byte ^ 0x55).collect();
            stream.write_all(&with_length("200 OK", current.version + 1, &garbage)).await
        }
        Some(Fault::Failing) => stream.write_all(&with_length("500 Internal Server Error", 0, b"sorry")).await,
        Some(Fault::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
            while state.borrow().fault == Some(Fault::Endless) {
                stream.write_all(&chunk).await?;
            }
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::Slow) => {
            let answer = with_length("200 OK", current.version, &current.body);
            for byte in answer {
                stream.write_all(&[byte]).await?;
                let changed = state.wait_for(|state| state.fault != Some(Fault::Slow));
                if tokio::time::timeout(Duration::from_millis(20), changed).await.is_ok() {
                    break;
                }
            }
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::Killed | Fault::Hung) => Err(std::io::ErrorKind::ConnectionReset.into()),
    }
}
