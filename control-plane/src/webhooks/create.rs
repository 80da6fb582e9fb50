//! `POST /portvakt/v1/webhooks`: a vendor has its events sent. The secret is shown this once.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::model::Webhook;
use super::signature::{SECRET_BYTES, secret_text};
use super::store;
use crate::caller::{RegisterWrite, Vendor};
use crate::events;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Webhooks of one vendor.
const WEBHOOKS_MAX: usize = 10;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateWebhook)]
pub(super) struct Body {
    /// https, to a public address.
    #[schema(example = "https://vendor.no/hooks/portvakt")]
    url: String,
}

/// Events of the vendor's systems are sent to an address from now on, signed (Standard Webhooks).
#[utoipa::path(
    post, path = "/portvakt/v1/webhooks", operation_id = "createWebhook", tag = openapi::EVENTS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    request_body = Body,
    responses((status = 201, body = own::CreatedWebhook), (status = 409, description = "`webhooks_too_many`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    OwnJson(body): OwnJson<Body>,
) -> Result<impl IntoResponse, Problem> {
    let url = state
        .webhook_sender
        .address(&body.url)
        .map_err(|error| Problem::new(codes::FIELD_INVALID).detail(format!("`url`: {error}")))?;
    let id = state.ids.uuid().map_err(Problem::internal)?;
    let mut secret = [0; SECRET_BYTES];
    state.ids.fill(&mut secret).map_err(Problem::internal)?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    if store::of_vendor(connection, caller.organization()).await?.len() >= WEBHOOKS_MAX {
        return Err(Problem::new(codes::WEBHOOKS_TOO_MANY).detail(format!("at most {WEBHOOKS_MAX}")));
    }
    let webhook = Webhook {
        id,
        vendor: caller.organization(),
        url: url.into(),
        secret: secret_text(&secret),
        created_at: now,
        delivered: events::store::newest(connection).await?,
        attempts: 0,
        failing_since: None,
        next_attempt_at: now,
        last_error: None,
        disabled_at: None,
    };
    store::insert(connection, &webhook).await?;
    let log = json!({ "webhook": id, "url": webhook.url, "by": caller.organization() });
    change.commit(now, "webhook_created", log).await?;
    let answer = json!({ "id": id, "secret": webhook.secret });
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)))
}
