//! Every failure that a caller sees: RFC 9457 `application/problem+json` in Altinn's shape.
//!
//! A handler returns a [`Problem`]; [`render`] writes the body once the trace id is known ([`crate::service`]).
//! All codes are in [`codes`]; a failure without a code there cannot be expressed.

pub(crate) mod codes;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(crate) use codes::{InvalidCode, ProblemCode};

/// Longest `detail`: details may quote input.
const DETAIL_CHARS_MAX: usize = 300;

/// A failure on its way to the caller.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: ProblemCode,
    detail: Option<String>,
    validation_errors: Vec<Invalid>,
    members: Map<String, Value>,
    challenge: Option<String>,
    retry_after_s: Option<u32>,
    /// A body of another form: its media type and text.
    other_body: Option<(&'static str, String)>,
    cause: Option<anyhow::Error>,
}

/// One wrong part of a body, as Altinn reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Invalid {
    code: &'static str,
    title: &'static str,
    paths: Vec<&'static str>,
}

impl Invalid {
    pub(crate) fn at(code: InvalidCode, path: &'static str) -> Self {
        Self { code: code.code, title: code.title, paths: vec![path] }
    }
}

impl Problem {
    pub(crate) fn new(code: ProblemCode) -> Self {
        Self(Box::new(Inner {
            code,
            detail: None,
            validation_errors: Vec::new(),
            members: Map::new(),
            challenge: None,
            retry_after_s: None,
            other_body: None,
            cause: None,
        }))
    }

    /// A body that breaks the rules in these ways.
    pub(crate) fn validation(errors: Vec<Invalid>) -> Self {
        let mut problem = Self::new(codes::VALIDATION);
        problem.0.validation_errors = errors;
        problem
    }

    /// A failure of ours. The cause is logged and never shown.
    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let mut problem = Self::new(codes::INTERNAL);
        problem.0.cause = Some(cause.into());
        problem
    }

    /// Says in words what was wrong with this very call.
    pub(crate) fn detail(mut self, detail: impl AsRef<str>) -> Self {
        self.0.detail = Some(detail.as_ref().chars().take(DETAIL_CHARS_MAX).collect());
        self
    }

    /// Adds an extension member (RFC 9457 section 3.2).
    pub(crate) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a `WWW-Authenticate` challenge (RFC 6750 section 3).
    pub(crate) fn challenge(mut self, challenge: impl Into<String>) -> Self {
        self.0.challenge = Some(challenge.into());
        self
    }

    /// Answers in plain text, as Altinn does in a few places that its clients show or compare.
    pub(crate) fn plain_text(mut self, text: impl Into<String>) -> Self {
        self.0.other_body = Some(("text/plain; charset=utf-8", text.into()));
        self
    }

    /// Answers with a bare JSON value, as Altinn does in one place.
    pub(crate) fn bare_json(mut self, value: &Value) -> Self {
        self.0.other_body = Some(("application/json", value.to_string()));
        self
    }

    pub(crate) fn retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }
}

impl Problem {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code.code
    }

    /// A failure of ours, or a busy database: the same call may succeed later.
    pub(crate) fn is_internal(&self) -> bool {
        self.0.code.status.is_server_error()
    }

    /// The same failure where no caller waits for an answer.
    pub(crate) fn into_error(self) -> anyhow::Error {
        let Inner { code, detail, cause, .. } = *self.0;
        let text = format!("{}: {} {}", code.code, code.title, detail.unwrap_or_default());
        match cause {
            Some(cause) => cause.context(text.trim_end().to_owned()),
            None => anyhow::anyhow!("{}", text.trim_end()),
        }
    }
}

impl From<ProblemCode> for Problem {
    fn from(code: ProblemCode) -> Self {
        Self::new(code)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if crate::store::is_unavailable(&error) {
            tracing::warn!("the database is busy or cannot be reached: {error}");
            return Self::new(codes::DATABASE_BUSY).retry_after_s(1);
        }
        // Bodies that are not JSON may get this far with a character that only SQLite stores.
        if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("22021")) {
            return Self::new(codes::FIELD_INVALID).detail("a text has the character U+0000");
        }
        Self::internal(error)
    }
}

/// Carries a [`Problem`] from a handler to [`render`].
#[derive(Debug, Clone)]
struct Pending(std::sync::Arc<Problem>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status;
        response.extensions_mut().insert(Pending(std::sync::Arc::new(self)));
        response
    }
}

/// Writes the body of a failed answer; any other answer passes unchanged. Logs our own failures, here and nowhere else.
pub(crate) fn render(mut response: Response, trace_id: &str) -> Response {
    let Some(Pending(problem)) = response.extensions_mut().remove::<Pending>() else {
        return response;
    };
    let inner = &problem.0;
    if let Some(cause) = &inner.cause {
        tracing::error!(trace.id = trace_id, problem.code = inner.code.code, "call failed: {cause:#}");
    }
    let (media_type, text) = match &inner.other_body {
        Some((media_type, text)) => (*media_type, text.clone()),
        None => ("application/problem+json", body(inner, trace_id).to_string()),
    };
    *response.body_mut() = Body::from(text);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(challenge) = inner.challenge.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = inner.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn body(inner: &Inner, trace_id: &str) -> Value {
    let ProblemCode { code, status, title } = inner.code;
    let mut body = Map::new();
    body.insert("type".into(), format!("{}{code}", inner.code.urn_prefix()).into());
    body.insert("title".into(), title.into());
    body.insert("status".into(), status.as_u16().into());
    body.insert("code".into(), code.into());
    if let Some(detail) = &inner.detail {
        body.insert("detail".into(), detail.as_str().into());
    }
    if !inner.validation_errors.is_empty() {
        body.insert("validationErrors".into(), json!(inner.validation_errors));
    }
    body.extend(inner.members.clone());
    body.insert("traceId".into(), trace_id.into());
    body.insert("statusDescription".into(), description(status).into());
    Value::Object(body)
}

fn description(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rendered(problem: Problem) -> (Response<()>, Value) {
        let (parts, body) = render(problem.into_response(), "00-aa-bb-01").into_parts();
        let bytes = axum::body::to_bytes(body, 10_000).await.unwrap();
        (Response::from_parts(parts, ()), serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_problem_has_altinns_shape() {
        let (response, body) = rendered(codes::SYSTEM_NOT_FOUND.into()).await;
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(
            body,
            json!({
                "type": "urn:altinn:error:AUTH-00011", "title": "The Id does not refer to a Registered System.",
                "status": 404, "code": "AUTH-00011", "traceId": "00-aa-bb-01", "statusDescription": "Not Found",
            })
        );
    }

    #[tokio::test]
    async fn wrong_parts_are_listed_with_their_paths() {
        let wrong = Invalid::at(codes::SYSTEM_ID_EXISTS, "/registersystemrequest/systemid");
        let (response, body) = rendered(Problem::validation(vec![wrong])).await;
        assert_eq!(response.status(), 400);
        assert_eq!(body["type"], "urn:altinn:error:STD-00000");
        assert_eq!(
            body["validationErrors"],
            json!([{ "code": "AUTH.VLD-00002", "title": "The system id already exists", "paths": ["/registersystemrequest/systemid"] }])
        );
    }

    #[tokio::test]
    async fn causes_stay_inside_and_details_are_cut() {
        let (_, body) = rendered(Problem::internal(anyhow::anyhow!("secret"))).await;
        assert!(!body.to_string().contains("secret"));
        let (_, body) = rendered(Problem::new(codes::JSON_INVALID).detail("x".repeat(10_000))).await;
        assert_eq!(body["detail"].as_str().unwrap().len(), DETAIL_CHARS_MAX);
    }
}
