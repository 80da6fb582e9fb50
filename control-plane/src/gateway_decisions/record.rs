//! `POST /snapshots/{provider}/decisions`: a batch from one worker of a gateway.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::Decision;
use super::store;
use crate::caller::Gateway;
use crate::fields::text;
use crate::json::OwnJson;
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Decisions in one batch.
const DECISIONS_MAX: usize = 500;
const GATEWAY_NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GatewayDecisions)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Body {
    gateway: String,
    decisions: Vec<Decision>,
}

/// Tell what a gateway has decided: denials, and permits by sample.
#[utoipa::path(
    post, path = "/snapshots/{provider}/decisions", operation_id = "recordDecisions", tag = openapi::GATEWAYS,
    security(("gateway" = [])),
    request_body = Body,
    responses((status = 204, description = "Recorded"), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    gateway: Gateway,
    OwnJson(body): OwnJson<Body>,
) -> Result<StatusCode, Problem> {
    if body.decisions.len() > DECISIONS_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`decisions` has more than {DECISIONS_MAX}")));
    }
    let name = text("gateway", &body.gateway, GATEWAY_NAME_CHARS_MAX)?;
    for decision in &body.decisions {
        decision.check()?;
    }
    let mut change = state.store.change().await?;
    store::add(change.connection(), &gateway.provider, &name, &body.decisions, state.clock.now()).await?;
    change.commit_derived().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::TestState;

    const TELL: &str = "/snapshots/regnskapsregisteret/decisions";
    const READ: &str = "/portvakt/v1/providers/regnskapsregisteret/gateway-decisions";

    fn denial(request: &str) -> Value {
        json!({ "decision": "deny", "reason": "right_missing", "party": "310247049", "requestId": request,
            "atMillis": 1_000 })
    }

    #[tokio::test]
    async fn what_a_gateway_tells_is_read_by_operator_and_provider() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let body = json!({ "gateway": "oslo", "decisions": [denial("r-1"), denial("r-2")] });
        assert_eq!(test.post(TELL, &gateway, &body).await.status, 204);
        let mut newest = denial("r-2");
        newest["number"] = json!(2);
        newest["gateway"] = json!("oslo");
        newest["at"] = json!(test.clock.text());
        for reader in [test.operator(), test.resource_owner()] {
            let page = test.get(READ, &reader).await.expect(200);
            assert_eq!((page["data"].as_array().unwrap().len(), &page["data"][0]), (2, &newest));
        }
        test.get(READ, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.post(TELL, &test.operator(), &body).await.expect_code(401, "credential_invalid");
    }

    #[tokio::test]
    async fn pages_go_back_in_time() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let decisions: Vec<Value> = (0..51).map(|number| denial(&number.to_string())).collect();
        test.post(TELL, &gateway, &json!({ "gateway": "oslo", "decisions": decisions })).await;
        let first = test.get(READ, &test.operator()).await.expect(200);
        let (_, path) = first["links"]["next"].as_str().unwrap().split_once("/portvakt/v1").unwrap();
        let second = test.get(&format!("/portvakt/v1{path}"), &test.operator()).await.expect(200);
        assert_eq!((first["data"].as_array().unwrap().len(), &second["data"][0]["number"]), (50, &json!(1)));
        assert_eq!(second["links"], json!({}));
    }

    #[tokio::test]
    async fn old_decisions_are_forgotten() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        test.post(TELL, &gateway, &json!({ "gateway": "oslo", "decisions": [denial("old")] })).await;
        test.clock.advance_seconds(30 * 24 * 3600 + 1);
        test.post(TELL, &gateway, &json!({ "gateway": "oslo", "decisions": [denial("new")] })).await;
        let page = test.get(READ, &test.operator()).await.expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
        assert_eq!(page["data"][0]["requestId"], "new");
    }

    #[tokio::test]
    async fn a_wrong_batch_is_not_recorded_at_all() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let many: Vec<Value> = (0..501).map(|number| denial(&number.to_string())).collect();
        for (decisions, code) in [
            (json!(many), "field_invalid"),
            (json!([denial("a"), denial("")]), "field_invalid"),
            (json!([denial(&"x".repeat(301))]), "field_invalid"),
            (json!([{ "decision": "maybe", "atMillis": 1 }]), "json_invalid"),
            (json!([{ "decision": "deny", "atMillis": 1, "token": "x" }]), "json_invalid"),
        ] {
            let body = json!({ "gateway": "oslo", "decisions": decisions });
            test.post(TELL, &gateway, &body).await.expect_code(400, code);
        }
        assert_eq!(test.get(READ, &test.operator()).await.expect(200)["data"], json!([]));
    }
}
