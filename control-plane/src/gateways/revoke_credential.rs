//! `DELETE /portvakt/v1/providers/{provider}/gateway-credentials/{id}`: the credential is accepted no more.
//!
//! Again is the same: the first instant stays. To rotate: create another, let the gateways use it, revoke the old one.

use axum::extract::State;
use axum::http::StatusCode;
use policies::id::ProviderId;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::store;
use crate::caller::Operator;
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::resources;
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct CredentialInPath {
    provider: ProviderId,
    id: Uuid,
}

/// Ends a gateway credential; again is the same.
#[utoipa::path(
    delete, path = "/portvakt/v1/providers/{provider}/gateway-credentials/{id}", operation_id = "revokeGatewayCredential", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"])),
    responses((status = 204), (status = 404, description = "`provider_unknown`, `credential_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    operator: Operator,
    PathOf(CredentialInPath { provider, id }): PathOf<CredentialInPath>,
) -> Result<StatusCode, Problem> {
    let mut change = state.store.change().await?;
    resources::store::provider_organization(change.connection(), &provider).await?.ok_or(codes::PROVIDER_UNKNOWN)?;
    let now = state.clock.now();
    if !store::revoke(change.connection(), &provider, id, now).await? {
        return Err(codes::CREDENTIAL_UNKNOWN.into());
    }
    let log = json!({ "id": id, "provider": provider, "by": operator.organization });
    change.commit(now, "gateway_credential_revoked", log).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/gateway-credentials";

    #[tokio::test]
    async fn a_revoked_credential_is_refused_and_others_are_not() {
        let test = TestState::with_resources().await;
        let other = test.gateway().await;
        let created = test.post(PATH, &test.operator(), &json!({ "name": "demo" })).await.expect(201);
        let secret = created["credential"].as_str().unwrap();
        test.built().await;
        test.get(&story::feed(""), secret).await.expect(200);
        let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
        test.delete(&path, &test.resource_owner()).await.expect_code(403, "insufficient_scope");
        test.delete(&path, &test.operator()).await.expect(204);
        let revoked_at = test.clock.text();
        test.clock.advance_seconds(1);
        test.delete(&path, &test.operator()).await.expect(204);
        test.get(&story::feed(""), secret).await.expect_code(401, "credential_invalid");
        test.get(&story::feed(""), &other).await.expect(200);
        let list = test.get(PATH, &test.operator()).await.expect(200);
        let ended = list.as_array().unwrap().iter().find(|listed| listed["name"] == "demo").unwrap();
        assert_eq!(ended["revokedAt"], revoked_at);
    }

    #[tokio::test]
    async fn a_poll_that_is_held_while_its_credential_ends_gets_nothing() {
        let test = TestState::with_request().await;
        let created = test.post(PATH, &test.operator(), &json!({ "name": "demo" })).await.expect(201);
        let secret = created["credential"].as_str().unwrap();
        let before = test.fetch(secret, None).await;
        let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
        let (answer, _) = tokio::join!(test.poll(secret, Some(&before.etag), "wait=60"), async {
            test.delete(&path, &test.operator()).await.expect(204);
            test.approve().await
        });
        answer.expect_code(401, "credential_invalid");
    }

    #[tokio::test]
    async fn another_organisations_provider_has_no_old_credentials() {
        let test = TestState::with_resources().await;
        let gateway = test.gateway().await;
        let provider = |organization: &str| json!({ "organizationNumber": organization, "name": "Other" });
        test.put(story::PROVIDER, &test.operator(), &provider("310247022")).await.expect(200);
        test.built().await;
        test.get(&story::feed(""), &gateway).await.expect(200);
        for organization in ["310247065", "310247022"] {
            test.put(story::PROVIDER, &test.operator(), &provider(organization)).await.expect(200);
            test.get(&story::feed(""), &gateway).await.expect_code(401, "credential_invalid");
        }
        test.get(&story::feed(""), &test.gateway().await).await.expect(200);
    }

    #[tokio::test]
    async fn unknown_credentials_cannot_be_revoked() {
        let test = TestState::with_resources().await;
        let id = "00000000-0000-4000-8000-000000000000";
        test.delete(&format!("{PATH}/{id}"), &test.operator()).await.expect_code(404, "credential_unknown");
        test.delete(&format!("{PATH}/7"), &test.operator()).await.expect_code(400, "path_invalid");
        let unknown = format!("/portvakt/v1/providers/unknown/gateway-credentials/{id}");
        test.delete(&unknown, &test.operator()).await.expect_code(404, "provider_unknown");
    }
}
