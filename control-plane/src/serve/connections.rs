//! Taking connections (HTTP/1.1) within limits: how many at once, and how long one may take over its headers.
//!
//! What a call does once it is read is limited in [`crate::service`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::rate_limit::PeerAddress;

/// Wait after a connection could not be taken, for example because there are no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What strangers can hold of us before we know them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once; more wait in the system's queue.
    pub(super) connections_max: usize,
    /// From the readiness for a call to the end of its headers; an idle connection is closed after it, too.
    pub(super) header_time_max: Duration,
}

impl Limits {
    /// For one scraper or two.
    pub(super) const METRICS: Self = Self { connections_max: 32, header_time_max: Duration::from_secs(10) };
    pub(super) const DEFAULT: Self = Self { connections_max: 10_000, header_time_max: Duration::from_secs(10) };
}

/// Serves until the stop, and ends when the calls under way have been answered.
pub(super) async fn serve(listener: TcpListener, app: Router, limits: Limits, mut stopping: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let taken = tokio::select! {
            biased;
            _sender_gone = stopping.wait_for(|stopping| *stopping) => break,
            taken = take(&listener, &slots) => taken,
        };
        let (stream, peer, slot) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.header_time_max);
        let app = TowerToHyperService::new(app.clone());
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer));
            app.call(request)
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(slot);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, once there is room for it.
async fn take(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip(), slot))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    async fn served(limits: Limits) -> (std::net::SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let app = Router::new().route("/", get(async || "hello"));
        tokio::spawn(serve(listener, app, limits, stopping));
        (address, stop)
    }

    /// All that comes back until the connection ends.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _end = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn half_sent_headers_do_not_hold_a_connection() {
        let (address, _stop) = served(Limits { header_time_max: SHORT, ..Limits::DEFAULT }).await;
        for sent in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            assert!(!answer(&mut stream).await.contains("hello"), "{sent}");
        }
    }

    #[tokio::test]
    async fn one_too_many_waits_for_a_place() {
        let (address, _stop) = served(Limits { connections_max: 1, ..Limits::DEFAULT }).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_eq!(first.read_u8().await.unwrap(), b'H');
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let waiting = tokio::time::timeout(SHORT, second.read_u8()).await;
        assert!(waiting.is_err());
        drop(first);
        assert!(answer(&mut second).await.contains("hello"));
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections() {
        let (address, stop) = served(Limits::DEFAULT).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'H');
        stop.send_replace(true);
        assert!(answer(&mut stream).await.contains("hello"));
    }
}
