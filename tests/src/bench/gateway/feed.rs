//! The feed of one snapshot: what a control plane does for gateways, of one base that never changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

/// How long a poll is held when there is nothing new.
const HOLD: Duration = Duration::from_secs(20);

struct Base {
    sealed: Bytes,
    tag: String,
}

/// Serves a sealed base under its version to every gateway of the provider.
pub async fn serve(provider: &str, version: &str, sealed: Vec<u8>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the feed")?;
    let address = listener.local_addr()?;
    let base = Arc::new(Base { sealed: sealed.into(), tag: format!("\"{version}\"") });
    let app = Router::new()
        .route(&format!("/snapshots/{provider}"), get(poll))
        .route(&format!("/snapshots/{provider}/workers"), post(async || StatusCode::NO_CONTENT))
        .with_state(base);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!("the feed ended: {error}");
        }
    });
    Ok(address)
}

async fn poll(State(base): State<Arc<Base>>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH) == Some(base.tag.as_str()) {
        if text(header::HeaderName::from_static("prefer")) != Some("wait=0") {
            tokio::time::sleep(HOLD).await;
        }
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, base.tag.clone())]).into_response();
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let number = |text: &str| text.parse::<usize>().ok();
    let range = range.and_then(|(first, last)| Some((number(first)?, number(last)?)));
    let length = base.sealed.len();
    let Some((first, last)) = range.filter(|(first, last)| first <= last && *first < length) else {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    };
    let last = last.min(length - 1);
    let headers = [(header::ETAG, base.tag.clone()), (header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"))];
    (StatusCode::PARTIAL_CONTENT, headers, base.sealed.slice(first..=last)).into_response()
}
