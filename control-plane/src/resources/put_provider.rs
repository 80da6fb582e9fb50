//! `PUT /portvakt/v1/providers/{provider}`: an operator registers an API provider, or changes its organisation or name.
//!
//! Another organisation ends the credentials of the provider's gateways.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::id::{OrganizationNumber, ProviderId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::store;
use crate::caller::Operator;
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PutProvider)]
pub(super) struct Body {
    #[schema(value_type = String, example = "310247049")]
    organization_number: OrganizationNumber,
    name: String,
}

/// Registers an API provider, or changes its organisation or name.
#[utoipa::path(
    put, path = "/portvakt/v1/providers/{provider}", operation_id = "putProvider", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 201, body = own::Provider), (status = 200, description = "It was there already", body = own::Provider)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    operator: Operator,
    PathOf(provider): PathOf<ProviderId>,
    OwnJson(body): OwnJson<Body>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let name = text("name", &body.name, NAME_CHARS_MAX)?;
    let mut change = state.store.change().await?;
    let is_new = store::provider_organization(change.connection(), &provider).await?.is_none();
    let now = state.clock.now();
    store::upsert_provider(change.connection(), &provider, body.organization_number, &name, now).await?;
    let answer = json!({ "id": provider, "organizationNumber": body.organization_number, "name": name });
    let log = json!({ "provider": answer, "by": operator.organization });
    change.commit(now, "provider_stored", log).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(answer)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::TestState;

    #[tokio::test]
    async fn a_provider_is_created_and_changed() {
        let test = TestState::new().await;
        let path = "/portvakt/v1/providers/skatteetaten";
        let body = json!({ "organizationNumber": "310247022", "name": "Skatteetaten" });
        let answer = test.put(path, &test.operator(), &body).await.expect(201);
        assert_eq!(answer, json!({ "id": "skatteetaten", "organizationNumber": "310247022", "name": "Skatteetaten" }));
        test.put(path, &test.operator(), &body).await.expect(200);
    }

    #[tokio::test]
    async fn wrong_providers_are_refused() {
        let test = TestState::new().await;
        let body = json!({ "organizationNumber": "310247022", "name": "Skatteetaten" });
        let upper = "/portvakt/v1/providers/Skatteetaten";
        test.put(upper, &test.operator(), &body).await.expect_code(400, "path_invalid");
        let path = "/portvakt/v1/providers/skatteetaten";
        for (body, code) in [
            (json!({ "organizationNumber": "310247023", "name": "x" }), "json_invalid"),
            (json!({ "organizationNumber": "310247022", "name": " " }), "field_invalid"),
            (json!({ "organizationNumber": "310247022" }), "json_invalid"),
            (json!({ "organizationNumber": "310247022", "name": "x", "more": 1 }), "json_invalid"),
        ] {
            test.put(path, &test.operator(), &body).await.expect_code(400, code);
        }
        test.put(path, &test.resource_owner(), &body).await.expect_code(403, "insufficient_scope");
    }
}
