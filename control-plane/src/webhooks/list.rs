//! `GET /portvakt/v1/webhooks`: the vendor's webhooks, and how they are doing.

use axum::Json;
use axum::extract::State;

use super::model::{Webhook, WebhookJson};
use super::store;
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// The vendor's webhooks, and how they are doing. Secrets are not shown.
#[utoipa::path(
    get, path = "/portvakt/v1/webhooks", operation_id = "listWebhooks", tag = openapi::EVENTS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    responses((status = 200, body = Vec<WebhookJson>)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
) -> Result<Json<Vec<WebhookJson>>, Problem> {
    let mut connection = state.store.read().await?;
    let webhooks = store::of_vendor(&mut connection, caller.organization()).await?;
    Ok(Json(webhooks.iter().map(Webhook::json).collect()))
}
