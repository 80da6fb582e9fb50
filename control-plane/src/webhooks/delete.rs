//! `DELETE /portvakt/v1/webhooks/{id}`: nothing more is sent.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::store;
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Ends a webhook: nothing more is sent.
#[utoipa::path(
    delete, path = "/portvakt/v1/webhooks/{id}", operation_id = "deleteWebhook", tag = openapi::EVENTS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    responses((status = 204), (status = 404, description = "`webhook_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<Uuid>,
) -> Result<StatusCode, Problem> {
    let mut change = state.store.change().await?;
    if !store::delete(change.connection(), caller.organization(), id).await? {
        return Err(codes::WEBHOOK_UNKNOWN.into());
    }
    let log = json!({ "webhook": id, "by": caller.organization() });
    change.commit(state.clock.now(), "webhook_deleted", log).await?;
    Ok(StatusCode::NO_CONTENT)
}
