//! What Envoy talks to: an API that answers at once, and authorisers that permit everything, at once or after a while.
//!
//! As small as such servers can be, so that what is measured is what Envoy does. They run in a thread of their own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Name of the thread; what it uses can be told from the load's.
pub const THREAD: &str = "bench-servers";

/// What the API answers.
const API_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";
/// What an authoriser answers that permits.
const PERMIT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Where the servers are.
#[derive(Debug, Clone, Copy)]
pub struct Servers {
    /// The API.
    pub api: SocketAddr,
    /// An authoriser over HTTP/1.1.
    pub http: SocketAddr,
    /// The same, farther away.
    pub http_far: SocketAddr,
    /// An authoriser over gRPC.
    pub grpc: SocketAddr,
    /// The same, farther away.
    pub grpc_far: SocketAddr,
}

impl Servers {
    /// Starts all of them; those that are far away answer after this time.
    pub async fn start(far: Duration) -> Result<Self> {
        Ok(Self {
            api: http(API_ANSWER, Duration::ZERO).await?,
            http: http(PERMIT, Duration::ZERO).await?,
            http_far: http(PERMIT, far).await?,
            grpc: grpc(Duration::ZERO).await?,
            grpc_far: grpc(far).await?,
        })
    }
}

async fn listener() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers every request, none of which has a body, with the same.
async fn http(answer: &'static [u8], after: Duration) -> Result<SocketAddr> {
    let (listener, address) = listener().await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_http(stream, answer, after));
        }
    });
    Ok(address)
}

async fn answer_http(mut stream: TcpStream, answer: &'static [u8], after: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(16 << 10);
    loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
        // Envoy does not send a request before the one before it is answered.
        if received.ends_with(b"\r\n\r\n") {
            received.clear();
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            stream.write_all(answer).await?;
        }
    }
}

/// HTTP/2 (RFC 9113) as far as an authoriser needs it that reads nothing but where a request ends.
mod frame {
    pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    pub(super) const HEADER_BYTES: usize = 9;
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const ACK: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
}

/// `:status: 200` and `content-type: application/grpc` (RFC 7541, without indexing).
const GRPC_HEADERS: &[u8] = b"\x88\x0f\x10\x10application/grpc";
/// A `CheckResponse` whose `status` is there and empty: code 0, OK.
const GRPC_MESSAGE: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];
/// `grpc-status: 0`.
const GRPC_TRAILERS: &[u8] = b"\x00\x0bgrpc-status\x010";

/// Answers every call with a permit.
async fn grpc(after: Duration) -> Result<SocketAddr> {
    let (listener, address) = listener().await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_grpc(stream, after));
        }
    });
    Ok(address)
}

async fn answer_grpc(stream: TcpStream, after: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reading, mut writing) = stream.into_split();
    let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(mut bytes) = answered.recv().await {
            while let Ok(more) = answered.try_recv() {
                bytes.extend(more);
            }
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut settings = Vec::new();
    put(&mut settings, frame::SETTINGS, 0, 0, &[]);
    let _gone = answers.send(settings);
    let mut received = Vec::with_capacity(64 << 10);
    let mut greeted = false;
    loop {
        if reading.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
        let mut rest = received.as_slice();
        if !greeted {
            let Some(after_preface) = rest.strip_prefix(frame::PREFACE) else { continue };
            (rest, greeted) = (after_preface, true);
        }
        let (mut now, mut data_bytes) = (Vec::new(), 0);
        while let Some((header, body, after_frame)) = next_frame(rest) {
            rest = after_frame;
            match (header.kind, header.flags) {
                (frame::SETTINGS, flags) if flags & frame::ACK == 0 => {
                    put(&mut now, frame::SETTINGS, frame::ACK, 0, &[]);
                }
                (frame::PING, flags) if flags & frame::ACK == 0 => put(&mut now, frame::PING, frame::ACK, 0, body),
                (frame::DATA | frame::HEADERS, flags) => {
                    if header.kind == frame::DATA {
                        data_bytes += u32::try_from(body.len()).unwrap_or(0);
                    }
                    if flags & frame::END_STREAM != 0 {
                        answer_call(header.stream, after, &answers, &mut now);
                    }
                }
                _ => {}
            }
        }
        if data_bytes > 0 {
            put(&mut now, frame::WINDOW_UPDATE, 0, 0, &data_bytes.to_be_bytes());
        }
        let _gone = if now.is_empty() { Ok(()) } else { answers.send(now) };
        received = rest.to_vec();
    }
}

fn answer_call(stream: u32, after: Duration, answers: &tokio::sync::mpsc::UnboundedSender<Vec<u8>>, now: &mut Vec<u8>) {
    let mut answer = Vec::with_capacity(96);
    put(&mut answer, frame::HEADERS, frame::END_HEADERS, stream, GRPC_HEADERS);
    put(&mut answer, frame::DATA, 0, stream, GRPC_MESSAGE);
    put(&mut answer, frame::HEADERS, frame::END_HEADERS | frame::END_STREAM, stream, GRPC_TRAILERS);
    if after.is_zero() {
        now.extend(answer);
        return;
    }
    let answers = answers.clone();
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let _gone = answers.send(answer);
    });
}

struct FrameHeader {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// The first frame, its body, and what comes after it; `None` until all of it is there.
fn next_frame(bytes: &[u8]) -> Option<(FrameHeader, &[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(frame::HEADER_BYTES)?;
    let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *<&[u8; frame::HEADER_BYTES]>::try_from(header).ok()?;
    let length = u32::from_be_bytes([0, l0, l1, l2]);
    let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
    let (body, rest) = rest.split_at_checked(length as usize)?;
    Some((FrameHeader { kind, flags, stream }, body, rest))
}

fn put(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    to.extend(length.iter().skip(1));
    to.extend([kind, flags]);
    to.extend(stream.to_be_bytes());
    to.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_gets_its_answer() {
        let servers = Servers::start(Duration::from_millis(1)).await.unwrap();
        for (address, answer) in [(servers.api, API_ANSWER), (servers.http_far, PERMIT)] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for _ in 0..2 {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
                let mut bytes = vec![0; answer.len()];
                stream.read_exact(&mut bytes).await.unwrap();
                assert_eq!(bytes, answer);
            }
        }
    }

    #[tokio::test]
    async fn a_call_gets_its_permit() {
        let servers = Servers::start(Duration::from_millis(1)).await.unwrap();
        for address in [servers.grpc, servers.grpc_far] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut sent = frame::PREFACE.to_vec();
            put(&mut sent, frame::SETTINGS, 0, 0, &[]);
            put(&mut sent, frame::HEADERS, frame::END_HEADERS, 1, b"any");
            put(&mut sent, frame::DATA, frame::END_STREAM, 1, b"question");
            stream.write_all(&sent).await.unwrap();
            let mut received = Vec::new();
            let is_answered = |received: &[u8]| {
                let mut rest = received;
                let mut kinds = Vec::new();
                while let Some((header, _, after)) = next_frame(rest) {
                    kinds.push((header.kind, header.flags, header.stream));
                    rest = after;
                }
                kinds.contains(&(frame::HEADERS, frame::END_HEADERS | frame::END_STREAM, 1))
            };
            while !is_answered(&received) {
                assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
            }
        }
    }
}
