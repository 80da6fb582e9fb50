//! `POST /portvakt/v1/providers/{provider}/revocations`: gateways refuse it from the next snapshot on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::snapshot::REVOCATIONS_MAX;
use serde_json::json;

use super::model::{Body, Revocation, RevocationJson};
use super::store;
use crate::caller::ProviderAdministrator;
use crate::json::OwnJson;
use crate::openapi;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The provider's gateways refuse a token, a Maskinporten client or a system user until an instant.
#[utoipa::path(
    post, path = "/portvakt/v1/providers/{provider}/revocations", operation_id = "createRevocation", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"]), ("maskinporten" = ["portvakt:resources.write"])),
    request_body = Body,
    responses((status = 201, body = RevocationJson), (status = 404, description = "`provider_unknown`"), (status = 409, description = "`revocations_too_many`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: ProviderAdministrator,
    OwnJson(body): OwnJson<Body>,
) -> Result<(StatusCode, Json<RevocationJson>), Problem> {
    let now = state.clock.now();
    let (revoked, until) = body.check(now)?;
    let id = state.ids.uuid().map_err(Problem::internal)?;
    let revocation = Revocation { id, revoked, until, created_at: now };
    let mut change = state.store.change().await?;
    store::remove_ended(change.connection(), &caller.provider, now).await?;
    let count = store::count(change.connection(), &caller.provider).await?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= REVOCATIONS_MAX {
        return Err(Problem::new(codes::REVOCATIONS_TOO_MANY).detail(format!("at most {REVOCATIONS_MAX}")));
    }
    store::insert(change.connection(), &caller.provider, &revocation).await?;
    let log = json!({
        "id": id, "provider": caller.provider, "revoked": revocation.log(), "until": until, "by": caller.organization,
    });
    change.commit(now, "revocation_created", log).await?;
    Ok((StatusCode::CREATED, Json(revocation.json())))
}

#[cfg(test)]
mod tests {
    use policies::Decision;
    use serde_json::{Value, json};

    use crate::state::Clock as _;
    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/revocations";

    /// How gateways answer the vendor's token for the customer; `permitted`, or a reason.
    async fn answer(test: &TestState, gateway: &str, token: &str) -> String {
        match test.fetch(gateway, None).await.decide(test, token) {
            Decision::Permit(_) => "permitted".to_owned(),
            Decision::Denial(denial) => denial.reason.code().to_owned(),
        }
    }

    async fn check(revoked: impl Fn(&str) -> Value) {
        let test = TestState::with_request().await;
        let user = test.approve().await;
        let gateway = test.gateway().await;
        let token = tokens::Maskinporten::vendor("310247030").system_user(&user, "310247049").token(&test);
        assert_eq!(answer(&test, &gateway, &token).await, "permitted");
        let created = test.post(PATH, &test.resource_owner(), &revoked(&user)).await.expect(201);
        assert_eq!(answer(&test, &gateway, &token).await, "token_revoked");
        let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
        test.delete(&path, &test.operator()).await.expect(204);
        assert_eq!(answer(&test, &gateway, &token).await, "permitted");
    }

    #[tokio::test]
    async fn a_revoked_system_user_is_refused_until_it_is_let_in_again() {
        check(|user| json!({ "systemUser": user, "until": "2026-12-01T00:00:00Z" })).await;
    }

    #[tokio::test]
    async fn a_revoked_client_is_refused_in_any_letter_case() {
        check(|_| json!({ "client": story::CLIENT_ID.to_uppercase(), "until": "2026-12-01T00:00:00Z" })).await;
    }

    #[tokio::test]
    async fn a_revocation_ends_by_itself() {
        let test = TestState::with_request().await;
        let user = test.approve().await;
        let gateway = test.gateway().await;
        let until = test.clock.now().plus_seconds(60);
        test.post(PATH, &test.operator(), &json!({ "systemUser": user, "until": until })).await.expect(201);
        test.clock.advance_seconds(61);
        test.touch().await;
        let token = tokens::Maskinporten::vendor("310247030").system_user(&user, "310247049").token(&test);
        assert_eq!(answer(&test, &gateway, &token).await, "permitted");
        assert_eq!(test.get(PATH, &test.operator()).await.expect(200)["data"], json!([]));
    }

    #[tokio::test]
    async fn a_token_id_is_never_logged() {
        let test = TestState::with_resources().await;
        let body = json!({ "token": { "issuer": "https://issuer.test/", "id": "the-token-id" } });
        let created = test.post(PATH, &test.resource_owner(), &body).await.expect(201);
        assert_eq!(created["until"], json!(test.clock.now().plus_seconds(86_420)));
        let mut connection = test.state.store.read().await.unwrap();
        let log: Vec<String> =
            sqlx::query_scalar("SELECT body FROM change_log").fetch_all(&mut *connection).await.unwrap();
        assert!(log.iter().all(|body| !body.contains("the-token-id")));
    }

    #[tokio::test]
    async fn what_is_unclear_is_refused() {
        let test = TestState::with_resources().await;
        let owner = test.resource_owner();
        let until = "2026-12-01T00:00:00Z";
        let id = "00000000-0000-4000-8000-000000000000";
        for body in [
            json!({ "until": until }),
            json!({ "client": "a", "systemUser": id, "until": until }),
            json!({ "client": story::CLIENT_ID }),
            json!({ "client": story::CLIENT_ID, "until": "2000-01-01T00:00:00Z" }),
            json!({ "client": story::CLIENT_ID, "until": "2999-01-01T00:00:00Z" }),
            json!({ "client": "", "until": until }),
            json!({ "token": { "issuer": "", "id": "a" } }),
            json!({ "token": { "issuer": "a", "id": "x".repeat(501) } }),
        ] {
            test.post(PATH, &owner, &body).await.expect_code(400, "field_invalid");
        }
        test.post(PATH, &owner, &json!({ "systemUser": 7 })).await.expect_code(400, "json_invalid");
        test.post(PATH, &test.vendor(), &json!({})).await.expect_code(403, "insufficient_scope");
        let unknown = "/portvakt/v1/providers/unknown/revocations";
        test.post(unknown, &test.operator(), &json!({})).await.expect_code(404, "provider_unknown");
    }
}
