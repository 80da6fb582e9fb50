//! `GET /portvakt/v1/providers/{provider}/gateway-decisions`: what gateways told, the newest first.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use super::store;
use crate::base_url::BaseUrl;
use crate::caller::ProviderAdministrator;
use crate::openapi::{self, own};
use crate::page::{self, ENTRIES};
use crate::parameters::Query;
use crate::problem::Problem;
use crate::state::AppState;

/// What the provider's gateways told of their decisions, the newest first.
#[utoipa::path(
    get, path = "/portvakt/v1/providers/{provider}/gateway-decisions", operation_id = "listGatewayDecisions", tag = openapi::GATEWAYS,
    security(("maskinporten" = ["portvakt:operator"]), ("maskinporten" = ["portvakt:resources.write"])),
    params(("token" = Option<String>, Query, description = "From `links.next`")),
    responses((status = 200, body = own::GatewayDecisionPage), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: ProviderAdministrator,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let before = page::token(&query)?.unwrap_or(i64::MAX);
    let mut connection = state.store.read().await?;
    let found = store::before(&mut connection, &caller.provider, before, page::entries_asked()).await?;
    let (shown, rest) = found.split_at_checked(ENTRIES).unwrap_or((&found, &[]));
    let mut links = json!({});
    if let (Some(last), false) = (shown.last(), rest.is_empty()) {
        let mut next = Url::clone(&base);
        next.set_path(&format!("{}portvakt/v1/providers/{}/gateway-decisions", next.path(), caller.provider));
        next.query_pairs_mut().append_pair("token", &URL_SAFE_NO_PAD.encode(json!(last.number).to_string()));
        links = json!({ "next": next.as_str() });
    }
    Ok(Json(json!({ "links": links, "data": shown })))
}
