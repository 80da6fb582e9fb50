//! `POST /snapshots/{provider}/workers`: what each worker of a gateway has in force.
//!
//! One worker polls for all of its gateway; it tells of the others here as soon as they have taken something over.

use axum::extract::State;
use axum::http::StatusCode;
use policies::snapshot::SnapshotVersion;
use serde::Deserialize;
use utoipa::ToSchema;

use super::feed::worker_name;
use crate::caller::Gateway;
use crate::gateways::PollReport;
use crate::json::OwnJson;
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Workers in one report.
const WORKERS_MAX: usize = 256;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GatewayWorkers)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Body {
    gateway: String,
    workers: Vec<WorkerBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GatewayWorker)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkerBody {
    worker: String,
    /// `epoch.version`; absent before the first snapshot.
    applied: Option<String>,
    /// Snapshots refused since the worker started.
    #[serde(default)]
    refused: u64,
}

/// Tell what the workers of a gateway have in force.
///
/// Operators see it in the list of gateways. A worker that is not named keeps its last report.
#[utoipa::path(
    post, path = "/snapshots/{provider}/workers", operation_id = "reportWorkers", tag = openapi::GATEWAYS,
    security(("gateway" = [])),
    request_body = Body,
    responses((status = 204, description = "Recorded"), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    gateway: Gateway,
    OwnJson(body): OwnJson<Body>,
) -> Result<StatusCode, Problem> {
    if body.workers.len() > WORKERS_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`workers` has more than {WORKERS_MAX}")));
    }
    let invalid = |said: String| Problem::new(codes::FIELD_INVALID).detail(said);
    let named =
        |field: &str, text: &str| worker_name(text).map_err(|expected| invalid(format!("`{field}`: {expected}")));
    let seen_at = state.clock.now();
    let name = named("gateway", &body.gateway)?;
    let mut reports = Vec::new();
    for worker in body.workers {
        let applied = worker.applied.map(|version| version.parse::<SnapshotVersion>()).transpose();
        let report = PollReport {
            applied: applied.map_err(|error| invalid(format!("`applied`: {error}")))?,
            refused: worker.refused,
            seen_at,
        };
        let worker = named("worker", &worker.worker)?;
        reports.push(((name.clone(), worker), report));
    }
    for (worker, report) in reports {
        state.poll_reports.record(&gateway.provider, worker, report);
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::TestState;

    const PATH: &str = "/snapshots/regnskapsregisteret/workers";

    #[tokio::test]
    async fn operators_see_what_every_worker_enforces() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let workers = json!([{ "worker": "a", "applied": "7.3" }, { "worker": "b", "refused": 2 }]);
        let answer = test.post(PATH, &gateway, &json!({ "gateway": "oslo", "workers": workers })).await;
        assert_eq!(answer.status, 204);
        let shown = test
            .get("/portvakt/v1/providers/regnskapsregisteret/gateways", &test.operator())
            .await
            .expect(200)
            .to_string();
        assert!(shown.contains("\"7.3\"") && shown.contains("\"oslo\""), "{shown}");
    }

    #[tokio::test]
    async fn a_wrong_report_is_not_recorded_at_all() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let before =
            test.get("/portvakt/v1/providers/regnskapsregisteret/gateways", &test.operator()).await.expect(200);
        let many: Vec<_> = (0..257).map(|worker| json!({ "worker": worker.to_string() })).collect();
        for (workers, code) in [
            (json!([{ "worker": "a" }, { "worker": "b", "applied": "7" }]), "field_invalid"),
            (json!([{ "worker": "a" }, { "worker": "" }]), "field_invalid"),
            (json!(many), "field_invalid"),
            (json!([{ "worker": "a", "more": 1 }]), "json_invalid"),
        ] {
            let body = json!({ "gateway": "oslo", "workers": workers });
            test.post(PATH, &gateway, &body).await.expect_code(400, code);
        }
        assert_eq!(
            test.get("/portvakt/v1/providers/regnskapsregisteret/gateways", &test.operator()).await.expect(200),
            before
        );
        test.post(PATH, &test.operator(), &json!({ "gateway": "oslo", "workers": [] }))
            .await
            .expect_code(401, "credential_invalid");
    }
}
