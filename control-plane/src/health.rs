//! `/healthz`: the process answers. `/readyz`: it can do its work; what it could not publish is listed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::openapi::{self, own};
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = openapi::SERVICE,
    responses((status = 200, body = Object)),
)]
async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Whether it can do its work; what could not be published is listed.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = openapi::SERVICE,
    responses((status = 200, body = own::Readiness), (status = 503, description = "Not ready", body = own::Readiness)),
)]
async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    let is_writable = state.store.is_writable().await;
    let is_followed = state.publications.is_followed(Instant::now());
    let is_built = state.publications.follow_built().borrow().is_some();
    let is_ready = is_writable && is_built && is_followed && !state.is_stopping();
    let body = json!({
        "status": if is_ready { "ready" } else { "not ready" },
        "database": is_writable,
        "publisher": is_followed,
        "snapshotsBuilt": is_built,
        "publishFailures": state.publications.failures(),
    });
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::TestState;

    #[tokio::test]
    async fn ready_once_the_snapshots_are_built_and_until_the_stop() {
        let test = TestState::without_publisher().await;
        test.get("/healthz", "").await.expect(200);
        assert_eq!(test.get("/readyz", "").await.expect(503)["snapshotsBuilt"], false);
        let test = TestState::new().await;
        test.built().await;
        assert_eq!(test.get("/readyz", "").await.expect(200)["publishFailures"], json!({}));
        test.stop();
        test.get("/readyz", "").await.expect(503);
    }
}
