//! `GET /snapshots/{provider}`: the feed. A gateway asks for what is newer than what it has and waits for it.
//!
//! `If-None-Match` says what it has, `Prefer: wait=N` (RFC 7240) how long it waits, the query what it enforces. The
//! answer is the deltas since what it has; a base with its deltas for who has nothing, or something of another line. With
//! `Range` such a base comes in parts ([`part`]), and its deltas with the next poll.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use policies::snapshot::SnapshotVersion;

use super::part::{self, ByteRange};
use super::publications::Published;
use crate::caller::Gateway;
use crate::fields::is_text;
use crate::gateways::PollReport;
use crate::openapi;
use crate::parameters::{Query, whole_number};
use crate::problem::{Problem, codes};
use crate::state::AppState;

const WAIT_S_MAX: u64 = 60;
/// When to come again after one poll too many.
const RETRY_AFTER_S: u32 = 10;
const WORKER_NAME_CHARS_MAX: usize = 64;
pub(super) const MEDIA_TYPE: &str = "application/vnd.portvakt.snapshot";

/// The feed: waits for a snapshot that the gateway does not have.
#[utoipa::path(
    get, path = "/snapshots/{provider}", operation_id = "pollSnapshot", tag = openapi::GATEWAYS,
    security(("gateway" = [])),
    params(
        ("gateway" = Option<String>, Query, description = "The gateway's name; its credential's by default"),
        ("worker" = Option<String>, Query, description = "The worker's name"),
        ("applied" = Option<String>, Query, description = "What is in force there: epoch, `.`, version"),
        ("refused" = Option<u64>, Query, description = "Snapshots refused since it started"),
        ("If-None-Match" = Option<String>, Header, description = "What the gateway has"),
        ("Range" = Option<String>, Header, description = "`bytes=FIRST-LAST`: a base comes in such parts, what changed comes whole"),
        ("If-Match" = Option<String>, Header, description = "With `Range`: the base that the part must be of"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to hold the poll, 60 at most"),
    ),
    responses(
        (status = 200, description = "Sealed pieces; `ETag` is the version", body = Vec<u8>, content_type = "application/vnd.portvakt.snapshot"),
        (status = 206, description = "A part of a sealed base; `ETag` is the base's version, `Content-Range` says which part", body = Vec<u8>, content_type = "application/vnd.portvakt.snapshot"),
        (status = 304, description = "Nothing newer came"),
        (status = 404, description = "`provider_unknown`"),
        (status = 412, description = "`snapshot_replaced`"),
        (status = 416, description = "`snapshot_part_outside`"),
        (status = 429, description = "`too_many_polls`, `too_many_calls`"),
        (status = 503, description = "`snapshot_unpublished`, `stopping`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    gateway: Gateway,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    record(&state, &gateway, &query)?;
    let known = versions(&headers, &header::IF_NONE_MATCH);
    let range = ByteRange::of(&headers)?;
    let wait = wait(&headers)?;
    let _place = state
        .held_polls
        .hold(gateway.credential_key())
        .ok_or_else(|| Problem::new(codes::TOO_MANY_POLLS).retry_after_s(RETRY_AFTER_S))?;
    let publications = &state.publications;
    let mut snapshots = publications.follow(&gateway.provider);
    let newer =
        snapshots.wait_for(|snapshot| snapshot.as_ref().is_some_and(|snapshot| !is_known(snapshot.version(), &known)));
    for version in &known {
        publications.overtaken_by(&gateway.provider, *version);
    }
    let newer = tokio::select! {
        biased;
        newer = newer => newer.ok().and_then(|snapshot| snapshot.clone()),
        () = state.stopped() => None,
        () = tokio::time::sleep(wait) => None,
    };
    match newer {
        Some(snapshot) => {
            gateway.check_again(&state).await?;
            // A gateway with several versions has gathered them on the way; the highest is what it enforces.
            let known = known.iter().max().copied();
            match range {
                Some(range) if !snapshot.leads_on_from(known) => part::answer(&snapshot, range, &headers),
                _ => Ok(pieces(&snapshot, known)),
            }
        }
        None => unchanged(&state, publications.follow(&gateway.provider).borrow().as_deref()),
    }
}

fn pieces(snapshot: &Published, known: Option<SnapshotVersion>) -> Response {
    let body = snapshot.since(known);
    let headers = [
        (header::CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (header::ETAG, etag(snapshot.version())),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Body::from(body)).into_response()
}

/// Nothing newer: 304 for who has what is published, 503 when nothing is.
fn unchanged(state: &AppState, current: Option<&Published>) -> Result<Response, Problem> {
    match current {
        Some(current) => Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(current.version()))]).into_response()),
        None if state.is_stopping() => Err(Problem::new(codes::STOPPING).retry_after_s(1)),
        None => Err(Problem::new(codes::SNAPSHOT_UNPUBLISHED).retry_after_s(1)),
    }
}

pub(super) fn etag(version: SnapshotVersion) -> String {
    format!("\"{version}\"")
}

/// The gateway has this version, or a later one of the same epoch.
fn is_known(version: SnapshotVersion, known: &[SnapshotVersion]) -> bool {
    known.iter().any(|known| known.epoch == version.epoch && known.version >= version.version)
}

/// The versions in `If-None-Match` or `If-Match`. What is no version of ours matches nothing.
pub(super) fn versions(headers: &HeaderMap, name: &HeaderName) -> Vec<SnapshotVersion> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok())
        .collect()
}

/// How long to hold the poll: not at all unless asked to.
fn wait(headers: &HeaderMap) -> Result<Duration, Problem> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let wait = values.flat_map(|value| value.split(',')).find_map(|preference| preference.trim().strip_prefix("wait="));
    let seconds = match wait {
        Some(seconds) => seconds
            .parse::<u64>()
            .map_err(|_| Problem::new(codes::HEADER_INVALID).detail("`Prefer: wait=` takes a number of seconds"))?,
        None => 0,
    };
    Ok(Duration::from_secs(seconds.min(WAIT_S_MAX)))
}

/// The name of a gateway or a worker.
pub(super) fn worker_name(text: &str) -> Result<String, &'static str> {
    if is_text(text, WORKER_NAME_CHARS_MAX) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 64 characters without control characters")
    }
}

fn record(state: &AppState, gateway: &Gateway, query: &Query) -> Result<(), Problem> {
    let name = |parameter: &str, absent: &str| {
        query.parsed(parameter, worker_name).map(|name| name.unwrap_or_else(|| absent.to_owned()))
    };
    let worker = (name("gateway", &gateway.credential)?, name("worker", "")?);
    let report = PollReport {
        applied: query.parsed("applied", str::parse)?,
        refused: query.parsed("refused", whole_number)?.unwrap_or(0),
        seen_at: state.clock.now(),
    };
    state.poll_reports.record(&gateway.provider, worker, report);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn a_gateway_gets_what_it_does_not_have() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let fetched = test.fetch(&gateway, None).await;
        assert_eq!(fetched.etag, etag(fetched.version()));
        let answer = test.poll(&gateway, Some(&fetched.etag), "wait=0").await;
        assert_eq!((answer.status, &answer.headers["etag"]), (304, &fetched.etag));
        assert_eq!(test.fetch(&gateway, Some("\"1.1\", W/\"x\"")).await, fetched);
    }

    #[tokio::test]
    async fn a_held_poll_ends_when_something_is_published() {
        let test = TestState::with_request().await;
        let gateway = test.gateway().await;
        let before = test.fetch(&gateway, None).await;
        let (answer, _) =
            tokio::join!(test.poll(&gateway, Some(&before.etag), "respond-async, wait=60"), test.approve());
        assert_eq!(answer.status, 200);
        assert_ne!(answer.headers["etag"], before.etag);
    }

    #[tokio::test]
    async fn a_held_poll_ends_when_the_service_stops() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let before = test.fetch(&gateway, None).await;
        let held = test.poll(&gateway, Some(&before.etag), "wait=60");
        let (answer, ()) = tokio::join!(held, async { test.stop() });
        assert_eq!(answer.status, 304);
    }

    #[tokio::test]
    async fn only_the_providers_own_gateways_are_served() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        test.get(&story::feed(""), "").await.expect_code(401, "token_missing");
        test.get(&story::feed(""), "pvgw_wrong").await.expect_code(401, "credential_invalid");
        test.get(&story::feed(""), &test.operator()).await.expect_code(401, "credential_invalid");
        test.get("/snapshots/unknown", &gateway).await.expect_code(404, "provider_unknown");
        let other = json!({ "organizationNumber": "310247065", "name": "Other" });
        test.put("/portvakt/v1/providers/other", &test.operator(), &other).await.expect(201);
        test.get("/snapshots/other", &gateway).await.expect_code(403, "credential_other_provider");
    }

    #[tokio::test]
    async fn one_poll_too_many_is_told_to_come_later() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let key = crate::caller::sha256_hex(gateway.as_bytes());
        let held: Vec<_> = (0..crate::gateways::HELD_POLLS_MAX).map(|_| test.state.held_polls.hold(&key)).collect();
        let answer = test.poll(&gateway, None, "wait=60").await;
        assert_eq!(answer.headers["retry-after"], "10");
        answer.expect_code(429, "too_many_polls");
        drop(held);
        test.fetch(&gateway, None).await;
        test.fetch(&gateway, None).await;
    }

    #[tokio::test]
    async fn wrong_parameters_are_refused() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        for query in
            ["applied=7", "applied=1.x", "refused=-1", "gateway=a&gateway=b", &format!("worker={}", "x".repeat(65))]
        {
            test.get(&story::feed(query), &gateway).await.expect_code(400, "query_invalid");
        }
        test.poll(&gateway, None, "wait=soon").await.expect_code(400, "header_invalid");
    }

    #[tokio::test]
    async fn a_provider_without_a_snapshot_gets_503() {
        let test = TestState::without_publisher().await;
        let gateway = test.gateway().await;
        let answer = test.poll(&gateway, None, "wait=0").await;
        assert_eq!(answer.headers["retry-after"], "1");
        answer.expect_code(503, "snapshot_unpublished");
    }
}
