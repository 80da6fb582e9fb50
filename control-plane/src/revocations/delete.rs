//! `DELETE /portvakt/v1/providers/{provider}/revocations/{id}`: let in again, from the next snapshot on.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::store;
use crate::caller::ProviderAdministrator;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct RevocationInPath {
    id: Uuid,
}

/// What was revoked counts again.
#[utoipa::path(
    delete, path = "/portvakt/v1/providers/{provider}/revocations/{id}", operation_id = "deleteRevocation", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"]), ("maskinporten" = ["portvakt:resources.write"])),
    responses((status = 204), (status = 404, description = "`provider_unknown`, `revocation_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: ProviderAdministrator,
    PathOf(RevocationInPath { id }): PathOf<RevocationInPath>,
) -> Result<StatusCode, Problem> {
    let mut change = state.store.change().await?;
    if !store::delete(change.connection(), &caller.provider, id).await? {
        return Err(codes::REVOCATION_UNKNOWN.into());
    }
    let log = json!({ "id": id, "provider": caller.provider, "by": caller.organization });
    change.commit(state.clock.now(), "revocation_deleted", log).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use crate::test_state::TestState;

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/revocations";

    #[tokio::test]
    async fn what_is_not_revoked_cannot_be_let_in() {
        let test = TestState::with_resources().await;
        let id = "00000000-0000-4000-8000-000000000000";
        test.delete(&format!("{PATH}/{id}"), &test.operator()).await.expect_code(404, "revocation_unknown");
        test.delete(&format!("{PATH}/7"), &test.operator()).await.expect_code(400, "path_invalid");
        test.delete(&format!("{PATH}/{id}"), &test.vendor()).await.expect_code(403, "insufficient_scope");
    }
}
