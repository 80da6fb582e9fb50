//! Numbers for whoever runs the control plane, in Prometheus' text form.
//!
//! They are served at `/metrics` of an address of their own (`metrics_listen`): a scraper has no Maskinporten token, and
//! the labels name API providers, which is nobody else's business. Without the key nothing is served.
//!
//! Labels are bounded: routes are templates, methods and statuses are few, providers are cut at [`PROVIDERS_MAX`].

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use metrics::{Key, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusRecorder};
use policies::id::ProviderId;

use crate::problem::{Problem, codes, render};
use crate::state::AppState;

/// Providers that have numbers of their own.
const PROVIDERS_MAX: usize = 1_000;
/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

const METADATA: Metadata<'static> = Metadata::new("control_plane", Level::INFO, None);

const CALLS: &str = "portvakt_http_requests_total";
const CALL_SECONDS: &str = "portvakt_http_request_duration_seconds";
const BUILD_SECONDS: &str = "portvakt_snapshot_build_seconds";
const JOBS: &str = "portvakt_jobs_total";

/// What is counted. One per control plane, not per process: tests run many.
pub(crate) struct Metrics(PrometheusRecorder);

impl Metrics {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(&SECONDS)?.build_recorder();
        let describe = |name: &'static str, text: &'static str| {
            recorder.describe_gauge(name.into(), None, text.into());
        };
        recorder.describe_counter(CALLS.into(), None, "Answered calls.".into());
        recorder.describe_histogram(CALL_SECONDS.into(), Some(Unit::Seconds), "How long calls took.".into());
        recorder.describe_histogram(BUILD_SECONDS.into(), Some(Unit::Seconds), "How long a base took to build.".into());
        recorder.describe_counter(JOBS.into(), None, "Background steps, by what became of them.".into());
        describe("portvakt_revision", "Number of the last committed change.");
        describe("portvakt_published_revision", "The revision that is published to all gateways.");
        describe("portvakt_held_polls", "Polls of gateways that are held now.");
        describe("portvakt_store_changes_total", "Operations that wrote, or tried to.");
        describe("portvakt_store_wait_seconds_total", "Time that operations waited for the one writer.");
        describe("portvakt_store_busy_seconds_total", "Time that the one writer was taken.");
        describe("portvakt_snapshot_version", "The version that is published.");
        describe("portvakt_snapshot_bytes", "Length of what is published: a base and its deltas.");
        describe("portvakt_snapshot_deltas", "Deltas since the base.");
        describe("portvakt_snapshot_not_after_seconds", "When gateways refuse what is published, since 1970.");
        describe("portvakt_publish_failures", "Providers whose last build was not published.");
        describe("portvakt_publisher_alive", "1 while the publisher goes round.");
        Ok(Self(recorder))
    }

    /// A call was answered; `route` is its template, empty for what no operation takes.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let method = if matches!(method, "GET" | "PUT" | "POST" | "DELETE" | "HEAD") { method } else { "other" };
        let labels = [("method", method), ("route", route)];
        let status = status.to_string();
        let status = [labels.as_slice(), &[("status", &status)]].concat();
        self.0.register_counter(&key(CALLS, &status), &METADATA).increment(1);
        self.0.register_histogram(&key(CALL_SECONDS, &labels), &METADATA).record(duration.as_secs_f64());
    }

    /// A base was built for a provider.
    pub(crate) fn built(&self, provider: &ProviderId, duration: Duration) {
        let key = key(BUILD_SECONDS, &[("provider", provider.as_str())]);
        self.0.register_histogram(&key, &METADATA).record(duration.as_secs_f64());
    }

    /// A background step ended.
    pub(crate) fn job(&self, job: &'static str, outcome: &'static str) {
        self.0.register_counter(&key(JOBS, &[("job", job), ("outcome", outcome)]), &METADATA).increment(1);
    }

    fn set(&self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.0.register_gauge(&key(name, labels), &METADATA).set(value);
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}

/// What listens on `metrics_listen`.
pub(crate) fn app(state: AppState) -> Router {
    Router::new().fallback(handler).with_state(state)
}

async fn handler(State(state): State<AppState>, request: Request) -> Response {
    if request.uri().path() != "/metrics" {
        return render(Problem::new(codes::NOT_FOUND).into_response(), "");
    }
    match text(&state).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(problem) => render(problem.into_response(), ""),
    }
}

/// Everything as it is now.
#[expect(clippy::cast_precision_loss, reason = "what is counted is far below 2^52")]
async fn text(state: &AppState) -> Result<String, Problem> {
    let metrics = &state.metrics;
    let revision = state.store.revision().await?;
    metrics.set("portvakt_revision", &[], revision.as_i64() as f64);
    if let Some(built) = *state.publications.follow_built().borrow() {
        metrics.set("portvakt_published_revision", &[], built.as_i64() as f64);
    }
    metrics.set("portvakt_held_polls", &[], state.held_polls.count() as f64);
    let work = state.store.work();
    metrics.set("portvakt_store_changes_total", &[], work.changes as f64);
    metrics.set("portvakt_store_wait_seconds_total", &[], work.waited.as_secs_f64());
    metrics.set("portvakt_store_busy_seconds_total", &[], work.busy.as_secs_f64());
    metrics.set("portvakt_publish_failures", &[], state.publications.failures().len() as f64);
    let is_alive = state.publications.is_followed(tokio::time::Instant::now());
    metrics.set("portvakt_publisher_alive", &[], f64::from(u8::from(is_alive)));
    for published in state.publications.sizes().into_iter().take(PROVIDERS_MAX) {
        let labels = [("provider", published.provider.as_str())];
        metrics.set("portvakt_snapshot_version", &labels, published.version as f64);
        metrics.set("portvakt_snapshot_bytes", &labels, published.bytes as f64);
        metrics.set("portvakt_snapshot_deltas", &labels, published.deltas as f64);
        metrics.set("portvakt_snapshot_not_after_seconds", &labels, published.not_after.unix_seconds() as f64);
    }
    Ok(metrics.0.handle().render())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use crate::test_state::{TestState, story};

    async fn read(test: &TestState, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = super::app(test.state.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_happened_is_counted_by_route_and_provider() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        test.fetch(&gateway, None).await;
        test.get("/nowhere/at/all", "").await.expect_code(404, "not_found");
        let (status, text) = read(&test, "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            "portvakt_http_requests_total{method=\"PUT\",route=\"/portvakt/v1/parties\",status=\"200\"} 1",
            "portvakt_http_requests_total{method=\"GET\",route=\"\",status=\"404\"} 1",
            "portvakt_http_request_duration_seconds_count{method=\"PUT\",route=\"/portvakt/v1/parties\"} 1",
            "portvakt_held_polls 0",
            "portvakt_publish_failures 0",
            "portvakt_publisher_alive 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in {text}");
        }
        let number = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(number("portvakt_revision") > 5.0 && number("portvakt_store_busy_seconds_total") > 0.0);
        assert!(text.contains("portvakt_snapshot_build_seconds_count{provider=\"regnskapsregisteret\"} "));
        assert!(text.contains("portvakt_jobs_total{job=\"publish\",outcome=\"done\"} "));
        assert!(text.contains("portvakt_snapshot_bytes{provider=\"regnskapsregisteret\"} "));
        assert_eq!(read(&test, "/other").await.0, 404);
        test.get("/metrics", "").await.expect_code(404, "not_found");
    }

    #[tokio::test]
    async fn labels_are_templates_and_few() {
        let test = TestState::with_system().await;
        for number in 0..50 {
            test.get(&format!("{}/310247030_{number}", story::SYSTEMS), &test.vendor()).await.expect(404);
            test.send(&format!("M{number}"), "/healthz", "", None).await.expect(405);
        }
        let (_, text) = read(&test, "/metrics").await;
        let counted = text.lines().filter(|line| line.starts_with("portvakt_http_requests_total{")).count();
        assert!(counted < 20, "{text}");
        assert!(text.contains("method=\"other\",route=\"/healthz\",status=\"405\"} 50"), "{text}");
    }
}
