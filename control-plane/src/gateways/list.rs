//! `GET /portvakt/v1/providers/{provider}/gateways`: which worker enforces which version, since when we know.

use axum::Json;
use axum::extract::State;
use policies::id::ProviderId;
use serde_json::{Value, json};

use crate::caller::Operator;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

/// What each worker of each gateway enforces, as of its last poll.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/gateways", operation_id = "listGateways", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"])),
    responses((status = 200, body = Vec<own::Worker>), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _operator: Operator,
    PathOf(provider): PathOf<ProviderId>,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut connection = state.store.read().await?;
    resources::store::provider_organization(&mut connection, &provider).await?.ok_or(codes::PROVIDER_UNKNOWN)?;
    let now = state.clock.now();
    let reports = state.poll_reports.of_provider(&provider, now);
    let list = reports.into_iter().map(|((gateway, worker), report)| {
        json!({
            "gateway": gateway,
            "worker": worker,
            "version": report.applied.map(|version| version.to_string()),
            "seenAt": report.seen_at,
            "silent": report.is_silent(now),
            "refused": report.refused,
        })
    });
    Ok(Json(list.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/gateways";

    #[tokio::test]
    async fn the_operator_sees_what_every_worker_enforces() {
        let test = TestState::with_resources().await;
        assert_eq!(test.get(PATH, &test.operator()).await.expect(200), json!([]));
        let gateway = test.gateway().await;
        test.built().await;
        test.get(&story::feed("gateway=envoy-1&worker=0"), &gateway).await.expect(200);
        test.get(&story::feed("gateway=envoy-1&worker=1&applied=7.42&refused=3"), &gateway).await.expect(200);
        let list = test.get(PATH, &test.operator()).await.expect(200);
        let seen_at = test.clock.text();
        assert_eq!(
            list,
            json!([
                { "gateway": "envoy-1", "worker": "0", "version": null, "seenAt": seen_at, "silent": false, "refused": 0 },
                { "gateway": "envoy-1", "worker": "1", "version": "7.42", "seenAt": seen_at, "silent": false, "refused": 3 },
            ])
        );
        for (seconds, silent) in [(119, json!([false, false])), (1, json!([true, true])), (3480, json!([]))] {
            test.clock.advance_seconds(seconds);
            let list = test.get(PATH, &test.operator()).await.expect(200);
            let seen: Vec<_> = list.as_array().unwrap().iter().map(|worker| worker["silent"].clone()).collect();
            assert_eq!(json!(seen), silent);
        }
    }

    #[tokio::test]
    async fn nobody_else_does() {
        let test = TestState::with_resources().await;
        test.get(PATH, &test.resource_owner()).await.expect_code(403, "insufficient_scope");
        test.get("/portvakt/v1/providers/unknown/gateways", &test.operator())
            .await
            .expect_code(404, "provider_unknown");
    }
}
