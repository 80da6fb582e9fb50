//! `POST /portvakt/v1/providers/{provider}/gateway-credentials`: a new credential. It is shown this once.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::id::ProviderId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::store::{self, Credential};
use crate::caller::{Operator, sha256_hex};
use crate::fields::text;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

const CREDENTIAL_NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateGatewayCredential)]
pub(super) struct Body {
    name: String,
}

/// A new gateway credential. It is shown this once.
#[utoipa::path(
    post, path = "/portvakt/v1/providers/{provider}/gateway-credentials", operation_id = "createGatewayCredential", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 201, body = own::CreatedCredential), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    operator: Operator,
    PathOf(provider): PathOf<ProviderId>,
    OwnJson(body): OwnJson<Body>,
) -> Result<impl IntoResponse, Problem> {
    let name = text("name", &body.name, CREDENTIAL_NAME_CHARS_MAX)?;
    let id = state.ids.uuid().map_err(Problem::internal)?;
    let mut random = [0; 32];
    state.ids.fill(&mut random).map_err(Problem::internal)?;
    // The prefix lets secret scanners know what they found.
    let secret = format!("pvgw_{}", URL_SAFE_NO_PAD.encode(random));

    let mut change = state.store.change().await?;
    resources::store::provider_organization(change.connection(), &provider).await?.ok_or(codes::PROVIDER_UNKNOWN)?;
    let now = state.clock.now();
    let credential = Credential { provider, name };
    store::insert(change.connection(), id, &sha256_hex(secret.as_bytes()), &credential, now).await?;
    let log =
        json!({ "id": id, "provider": credential.provider, "name": credential.name, "by": operator.organization });
    change.commit(now, "gateway_credential_created", log).await?;
    let answer = json!({ "id": id, "credential": secret });
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/gateway-credentials";

    #[tokio::test]
    async fn a_credential_is_shown_once_and_stored_hashed() {
        let test = TestState::with_resources().await;
        let answer = test.post(PATH, &test.operator(), &json!({ "name": "demo" })).await.expect(201);
        let secret = answer["credential"].as_str().unwrap();
        assert!(secret.starts_with("pvgw_") && secret.len() > 40);
        let mut connection = test.state.store.read().await.unwrap();
        let log: Vec<String> =
            sqlx::query_scalar("SELECT body FROM change_log").fetch_all(&mut *connection).await.unwrap();
        assert!(log.iter().all(|body| !body.contains(secret)));
        let stored: String = sqlx::query_scalar("SELECT secret_sha256 FROM gateway_credential")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(stored.len(), 64);
        test.built().await;
        test.get(&story::feed(""), secret).await.expect(200);
    }

    #[tokio::test]
    async fn wrong_credentials_are_refused() {
        let test = TestState::with_resources().await;
        let unknown = "/portvakt/v1/providers/unknown/gateway-credentials";
        test.post(unknown, &test.operator(), &json!({ "name": "demo" })).await.expect_code(404, "provider_unknown");
        test.post(PATH, &test.operator(), &json!({ "name": "" })).await.expect_code(400, "field_invalid");
        test.post(PATH, &test.operator(), &json!({})).await.expect_code(400, "json_invalid");
        test.post(PATH, &test.resource_owner(), &json!({ "name": "demo" }))
            .await
            .expect_code(403, "insufficient_scope");
    }
}
