//! `GET /portvakt/v1/providers/{provider}/revocations`: what gateways refuse now, the oldest first.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use super::model::Revocation;
use super::store;
use crate::base_url::BaseUrl;
use crate::caller::ProviderAdministrator;
use crate::openapi::{self, own};
use crate::page::{self, ENTRIES, Position};
use crate::parameters::Query;
use crate::problem::Problem;
use crate::state::AppState;

/// What the provider's gateways refuse now, the oldest first.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/revocations", operation_id = "listRevocations", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"]), ("maskinporten" = ["portvakt:resources.write"])),
    params(("token" = Option<String>, Query, description = "From `links.next`")),
    responses((status = 200, body = own::RevocationPage), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: ProviderAdministrator,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let position = page::start(&query)?;
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let found = store::after(&mut connection, &caller.provider, now, &position, page::entries_asked()).await?;
    let (shown, rest) = found.split_at_checked(ENTRIES).unwrap_or((&found, &[]));
    let mut links = json!({});
    if let (Some(last), false) = (shown.last(), rest.is_empty()) {
        let mut next = Url::clone(&base);
        next.set_path(&format!("{}portvakt/v1/providers/{}/revocations", next.path(), caller.provider));
        let token = json!(Position::new(last.created_at, last.id)).to_string();
        next.query_pairs_mut().append_pair("token", &URL_SAFE_NO_PAD.encode(token));
        links = json!({ "next": next.as_str() });
    }
    Ok(Json(json!({ "links": links, "data": shown.iter().map(Revocation::json).collect::<Vec<_>>() })))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use crate::test_state::TestState;

    const PATH: &str = "/portvakt/v1/providers/regnskapsregisteret/revocations";

    #[tokio::test]
    async fn every_revocation_is_on_one_page() {
        let test = TestState::with_resources().await;
        for number in 0..51 {
            let body = json!({ "token": { "issuer": "https://issuer.test/", "id": format!("{number}") } });
            test.post(PATH, &test.operator(), &body).await.expect(201);
        }
        let first = test.get(PATH, &test.resource_owner()).await.expect(200);
        let next = first["links"]["next"].as_str().unwrap();
        let (_, path) = next.split_once("/portvakt/v1").unwrap();
        let second = test.get(&format!("/portvakt/v1{path}"), &test.operator()).await.expect(200);
        let pages = [&first, &second].map(|page| page["data"].as_array().unwrap().clone());
        let ids: BTreeSet<String> = pages.concat().iter().map(|entry| entry["token"]["id"].to_string()).collect();
        assert_eq!((pages[0].len(), pages[1].len(), ids.len()), (50, 1, 51));
        assert_eq!(second["links"], json!({}));
        test.get(PATH, &test.vendor()).await.expect_code(403, "insufficient_scope");
    }
}
