//! The manners of the service: a trace id and one log line per call, limits on size and time, no panic that reaches a
//! caller, and problem bodies for what no handler takes.
//!
//! Logged are method, route template, status and time; never the query, headers or a body.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use crate::aliases;
use crate::problem::{self, Problem, codes};
use crate::rate_limit;
use crate::state::AppState;

/// Largest body that is read.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest that an operation may take; held polls have a limit of their own.
const OPERATION_TIME_MAX: Duration = Duration::from_secs(30);

/// Runs what takes the processor's time where it holds nobody up.
pub(crate) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(Problem::internal)
}

/// Ends operations that take too long. What they had begun is rolled back, unless its commit had begun too.
pub(crate) fn with_time_limit(routes: Router<AppState>) -> Router<AppState> {
    routes.layer(from_fn(async |request: Request, next: Next| {
        match tokio::time::timeout(OPERATION_TIME_MAX, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(codes::TIMED_OUT).retry_after_s(5).into_response(),
        }
    }))
}

/// What every call goes through.
pub(crate) fn with_manners(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .fallback(async |uri: Uri| match aliases::methods(uri.path()) {
            Some(methods) => ([(header::ALLOW, methods)], Problem::new(codes::METHOD_NOT_ALLOWED)).into_response(),
            None => Problem::new(codes::NOT_FOUND).into_response(),
        })
        .method_not_allowed_fallback(async || Problem::new(codes::METHOD_NOT_ALLOWED))
        .layer(from_fn_with_state(state.clone(), rate_limit::limited))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(state.clone(), trace))
        .with_state(state)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Problem::internal(anyhow::anyhow!("panicked: {}", message.unwrap_or("without a message"))).into_response()
}

/// Gives the call its trace id (W3C Trace Context; the caller's if it sent one), writes problem bodies, logs one line.
async fn trace(State(state): State<AppState>, matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let trace_id = trace_id(&state, &request);
    let method = request.method().clone();
    let route = matched.as_ref().map_or("", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("call", trace.id = trace_id);
    let mut response = problem::render(next.run(request).instrument(span).await, &trace_id);
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert("traceresponse", value);
    }
    state.metrics.answered(method.as_str(), &route, response.status().as_u16(), started.elapsed());
    tracing::info!(
        trace.id = trace_id,
        http.method = %method,
        http.route = route,
        http.status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    response
}

fn trace_id(state: &AppState, request: &Request) -> String {
    let sent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.split('-').nth(1)).filter(|trace| {
        trace.len() == 32
            && trace.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && trace.bytes().any(|byte| byte != b'0')
    });
    // Ids for humans: without randomness they are zeros, and everything that matters fails by itself.
    let mut random = [0; 24];
    if state.ids.fill(&mut random).is_err() {
        random = [0; 24];
    }
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let (trace, span) = hex.split_at(32);
    format!("00-{}-{span}-01", sent.unwrap_or(trace))
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, tokens};

    #[tokio::test]
    async fn what_no_handler_takes_is_a_problem_too() {
        let test = TestState::new().await;
        test.get("/nowhere", "").await.expect_code(404, "not_found");
        test.get("/%ff", "").await.expect_code(404, "not_found");
        test.delete("/healthz", "").await.expect_code(405, "method_not_allowed");
        let problem = test.get("/nowhere", "").await;
        assert_eq!(problem.headers["traceresponse"], problem.json["traceId"].as_str().unwrap());
    }

    #[tokio::test]
    async fn the_callers_trace_id_is_kept() {
        let test = TestState::new().await;
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for (sent, kept) in [
            (format!("00-{trace}-b7ad6b7169203331-01"), true),
            (format!("00-{}-b7-01", "0".repeat(32)), false),
            ("x".to_owned(), false),
        ] {
            let answer = test.get_with("/nowhere", &[("traceparent", &sent)]).await;
            assert_eq!(answer.headers["traceresponse"].contains(trace), kept, "{sent}");
        }
    }

    #[tokio::test]
    async fn tokens_are_read_from_one_authorization_header_only() {
        let test = TestState::with_system().await;
        let path = "/authentication/api/v1/systemregister/vendor";
        let token = format!("Bearer {}", tokens::Maskinporten::vendor("310247030").token(&test));
        test.get_with(path, &[("authorization", &token)]).await.expect(200);
        test.get_with(path, &[("authorization", &token.replace("Bearer", "bearer"))]).await.expect(200);
        test.get_with(path, &[("authorization", &token), ("authorization", &token)])
            .await
            .expect_code(401, "token_missing");
        test.get_with(path, &[("authorization", &token.replace("Bearer", "Basic"))])
            .await
            .expect_code(401, "token_missing");
        let answer = test.get_with(path, &[("authorization", &format!("{token}x"))]).await;
        assert!(answer.headers["www-authenticate"].starts_with("Bearer error=\"invalid_token\""));
        answer.expect_code(401, "token_invalid");
    }
}
