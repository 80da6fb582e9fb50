//! The API behind the gateway: answers every call with what reached it, and counts the calls.
//!
//! It checks nothing: whatever it answers, the gateway has let through.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use axum::extract::{Request, State};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Names that would carry secrets into answers, terminals and logs.
const NEVER_ECHOED: [&str; 2] = ["authorization", "cookie"];

/// What reached the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    pub method: String,
    pub path: String,
    /// By name in lower case; several values are joined with a comma. Without credentials.
    pub headers: BTreeMap<String, String>,
}

/// A running sample API; it ends with this value.
#[derive(Debug)]
pub struct SampleApi {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl SampleApi {
    /// Serves on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the sample API")?;
        let address = listener.local_addr().context("the sample API has no address")?;
        let calls = Arc::new(AtomicU64::new(0));
        let app = Router::new().fallback(echo).with_state(Arc::clone(&calls));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the sample API ended: {error}");
            }
        });
        Ok(Self { address, calls, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many calls have come through so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for SampleApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn echo(State(calls): State<Arc<AtomicU64>>, request: Request) -> Json<Echo> {
    calls.fetch_add(1, Ordering::SeqCst);
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        if NEVER_ECHOED.contains(&name.as_str()) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Json(Echo { method: request.method().to_string(), path: path.to_owned(), headers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::loopback_client;

    #[tokio::test]
    async fn it_tells_what_reached_it_except_credentials() {
        let api = SampleApi::start().await.unwrap();
        let echo: Echo = loopback_client()
            .unwrap()
            .get(format!("http://{}/vat/1?year=2026", api.address()))
            .header("x-one", "a")
            .header("x-one", "b")
            .bearer_auth("secret")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!((echo.method.as_str(), echo.path.as_str()), ("GET", "/vat/1?year=2026"));
        assert_eq!(echo.headers.get("x-one").map(String::as_str), Some("a,b"));
        assert!(!format!("{echo:?}").contains("secret"));
        assert_eq!(api.calls(), 1);
    }
}
