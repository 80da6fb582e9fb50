//! `GET /systemuser/byExternalId`: Maskinporten asks which system user a client may use for an owner.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use policies::id::{MaskinportenClientId, OrganizationNumber};
use serde_json::json;

use super::store;
use crate::caller::Maskinporten;
use crate::openapi::{self, altinn};
use crate::parameters::Query;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::systems;

/// Which system user may this client use for this organisation? Asked by Maskinporten.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/byExternalId", operation_id = "getByExternalId", tag = openapi::LOOK_UP,
    security(("maskinporten" = ["altinn:maskinporten/systemuser.read"])),
    params(
        ("clientId" = String, Query, description = "The Maskinporten client"),
        ("systemProviderOrgNo" = String, Query, description = "The system's vendor"),
        ("systemUserOwnerOrgNo" = String, Query, description = "The system user's owner"),
        ("externalRef" = Option<String>, Query, description = "The owner's number by default"),
    ),
    responses((status = 200, body = altinn::SystemUserExternal), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: Maskinporten,
    query: Query,
) -> Result<impl IntoResponse, Problem> {
    let client_id = query.required("clientId", MaskinportenClientId::parse)?;
    let vendor = query.required("systemProviderOrgNo", OrganizationNumber::parse)?;
    let owner = query.required("systemUserOwnerOrgNo", OrganizationNumber::parse)?;
    let external_ref = query.text("externalRef").map_or_else(|| owner.to_string(), str::to_owned);

    let mut connection = state.store.read().await?;
    let system = systems::store::live_of_client(&mut connection, &client_id)
        .await?
        .filter(|system| system.vendor == vendor)
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let user = store::find_live(&mut connection, owner, &system.id, &external_ref)
        .await?
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!(user.external_json(vendor)))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    #[tokio::test]
    async fn maskinporten_finds_the_approved_system_user() {
        let test = TestState::with_request().await;
        test.get(&story::lookup(), &test.maskinporten()).await.expect_code(404, "AUTH-00015");
        let id = test.approve().await;
        let answer = test.get(&story::lookup(), &test.maskinporten()).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let user = answer.expect(200);
        assert_eq!(user["id"], id);
        assert_eq!(user["productName"], "310247030_smartcloud");
        assert_eq!(user["supplierOrgno"], "310247030");
        assert_eq!(user["externalRef"], "310247049");
        assert_eq!(user["userType"], "standard");
        let upper = story::lookup().replace(story::CLIENT_ID, &story::CLIENT_ID.to_uppercase());
        test.get(&upper, &test.maskinporten()).await.expect(200);
    }

    #[tokio::test]
    async fn each_of_the_four_conditions_must_hold() {
        let test = TestState::with_request().await;
        test.approve().await;
        let right = story::lookup();
        for wrong in [
            right.replace(story::CLIENT_ID, "another-client"),
            right.replace("systemProviderOrgNo=310247030", "systemProviderOrgNo=310247065"),
            right.replace("systemUserOwnerOrgNo=310247049", "systemUserOwnerOrgNo=310247057"),
            format!("{right}&externalRef=another"),
        ] {
            assert_ne!(wrong, right);
            test.get(&wrong, &test.maskinporten()).await.expect_code(404, "AUTH-00015");
        }
        for malformed in [
            right.replace("clientId", "client"),
            right.replace("310247049", "310247048"),
            format!("{right}&clientid=twice"),
        ] {
            test.get(&malformed, &test.maskinporten()).await.expect_code(400, "query_invalid");
        }
    }

    #[tokio::test]
    async fn a_token_that_was_good_before_is_good_while_it_lasts_and_its_key_is_the_issuers() {
        let test = TestState::with_request().await;
        test.approve().await;
        let token = test.maskinporten();
        let with_keys = async |keys: &[serde_json::Value]| {
            crate::issuers::trust_for_test(&test.state, tokens::MASKINPORTEN, keys).await;
            let answer = test.get(&story::lookup(), &token).await;
            (answer.status, answer.json["reason"].clone())
        };
        let (good, refused) = ((200, json!(null)), |reason: &str| (401, json!(reason)));
        let own = tokens::jwk("m", tokens::MASKINPORTEN_KEY);
        for _ in 0..2 {
            assert_eq!(with_keys(std::slice::from_ref(&own)).await, good);
            assert_eq!(with_keys(&[]).await, refused("key_unknown"));
            assert_eq!(with_keys(&[tokens::jwk("other", tokens::MASKINPORTEN_KEY)]).await, refused("key_unknown"));
            assert_eq!(with_keys(&[tokens::jwk("m", tokens::ALTINN_KEY)]).await, refused("signature_invalid"));
        }
        assert_eq!(with_keys(&[own]).await, good);
        let mut other = token.clone();
        other.replace_range(token.len() - 10.., "AAAAAAAAAA");
        test.get(&story::lookup(), &other).await.expect_code(401, "token_invalid");
        // Two minutes, and ten seconds for the clock.
        test.clock.advance_seconds(129);
        test.get(&story::lookup(), &token).await.expect(200);
        test.clock.advance_seconds(1);
        let expired = test.get(&story::lookup(), &token).await;
        assert_eq!((expired.status, &expired.json["reason"]), (401, &json!("token_expired")));
    }

    #[tokio::test]
    async fn only_maskinporten_asks() {
        let test = TestState::with_request().await;
        test.get(&story::lookup(), "").await.expect_code(401, "token_missing");
        test.get(&story::lookup(), &test.vendor()).await.expect_code(403, "insufficient_scope");
        let stranger = tokens::Maskinporten::new("310247030", "altinn:maskinporten/systemuser.read").token(&test);
        test.get(&story::lookup(), &stranger).await.expect_code(403, "organization_not_allowed");
    }
}
