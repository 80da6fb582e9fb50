//! `GET /.well-known/authzen-configuration` (AuthZEN 1.0): where the decision endpoints are. For anybody.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::openapi::{self, own};
use crate::state::AppState;

/// Where the decision endpoints are (AuthZEN 1.0).
#[utoipa::path(
    get, path = "/.well-known/authzen-configuration", operation_id = "getAuthzenConfiguration", tag = openapi::DECISIONS,
    responses((status = 200, body = own::AuthzenConfiguration)),
)]
pub(super) async fn handler(State(state): State<AppState>) -> Json<Value> {
    let base = state.settings.public_url.as_str().trim_end_matches('/');
    Json(json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
        "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::TestState;

    #[tokio::test]
    async fn the_endpoints_are_told_to_anybody() {
        let test = TestState::new().await;
        assert_eq!(
            test.get("/.well-known/authzen-configuration", "").await.expect(200),
            json!({
                "policy_decision_point": "http://portvakt.test",
                "access_evaluation_endpoint": "http://portvakt.test/access/v1/evaluation",
                "access_evaluations_endpoint": "http://portvakt.test/access/v1/evaluations",
            })
        );
    }
}
