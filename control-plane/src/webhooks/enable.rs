//! `POST /portvakt/v1/webhooks/{id}/enable`: a webhook that was switched off goes on where it was.

use axum::Json;
use axum::extract::State;
use serde_json::json;
use uuid::Uuid;

use super::model::WebhookJson;
use super::store;
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// A webhook that was switched off goes on where it was; one that fails is tried at once.
#[utoipa::path(
    post, path = "/portvakt/v1/webhooks/{id}/enable", operation_id = "enableWebhook", tag = openapi::EVENTS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    responses((status = 200, body = WebhookJson), (status = 404, description = "`webhook_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<Uuid>,
) -> Result<Json<WebhookJson>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let webhooks = store::of_vendor(change.connection(), caller.organization()).await?;
    let mut webhook = webhooks.into_iter().find(|webhook| webhook.id == id).ok_or(codes::WEBHOOK_UNKNOWN)?;
    webhook.enable(now);
    store::update(change.connection(), &webhook).await?;
    let log = json!({ "webhook": id, "by": caller.organization() });
    change.commit(now, "webhook_enabled", log).await?;
    Ok(Json(webhook.json()))
}
