//! `GET /portvakt/v1/providers/{provider}/gateway-credentials`: which there are and were. Secrets are not shown.

use axum::Json;
use axum::extract::State;
use policies::id::ProviderId;

use super::store::{self, ListedCredential};
use crate::caller::Operator;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

/// The provider's gateway credentials, revoked ones too, without their secrets.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/gateway-credentials", operation_id = "listGatewayCredentials", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"])),
    responses((status = 200, body = Vec<ListedCredential>), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _operator: Operator,
    PathOf(provider): PathOf<ProviderId>,
) -> Result<Json<Vec<ListedCredential>>, Problem> {
    let mut connection = state.store.read().await?;
    resources::store::provider_organization(&mut connection, &provider).await?.ok_or(codes::PROVIDER_UNKNOWN)?;
    Ok(Json(store::list(&mut connection, &provider).await?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::TestState;

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/gateway-credentials";

    #[tokio::test]
    async fn credentials_are_listed_without_their_secrets() {
        let test = TestState::with_resources().await;
        assert_eq!(test.get(PATH, &test.operator()).await.expect(200), json!([]));
        let created = test.post(PATH, &test.operator(), &json!({ "name": "demo" })).await.expect(201);
        let answer = test.get(PATH, &test.operator()).await.expect(200);
        let expected =
            json!([{ "id": created["id"], "name": "demo", "createdAt": test.clock.text(), "revokedAt": null }]);
        assert_eq!(answer, expected);
        test.get(PATH, &test.resource_owner()).await.expect_code(403, "insufficient_scope");
        let unknown = "/portvakt/v1/providers/unknown/gateway-credentials";
        test.get(unknown, &test.operator()).await.expect_code(404, "provider_unknown");
    }
}
