//! `GET` and `PUT /portvakt/v1/parties/events/position`: how far a stream of events has been taken.
//!
//! It is set after a whole import, to the number of the last event that the import knew.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::events::{SEQUENCE_MAX, StreamName};
use super::store;
use crate::caller::Operator;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::parameters::Query;
use crate::problem::{Problem, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SetEventPosition)]
pub(super) struct Body {
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = false)]
    stream: StreamName,
    position: i64,
}

/// How far a stream of events about parties has been taken.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/events/position", operation_id = "getPartyEventPosition", tag = openapi::PARTIES,
    security(("maskinporten" = ["portvakt:operator"])),
    params(("stream" = Option<String>, Query, description = "`register` by default")),
    responses((status = 200, body = own::EventPosition)),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    _operator: Operator,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let stream = query.parsed("stream", StreamName::parse)?.unwrap_or_default();
    let mut connection = state.store.read().await?;
    let position = store::position(&mut connection, stream.as_str()).await?;
    Ok(Json(json!({ "stream": stream.as_str(), "position": position })))
}

/// Says how far a stream is taken: after a whole import, the last event that it knew.
#[utoipa::path(
    put, path = "/portvakt/v1/parties/events/position", operation_id = "setPartyEventPosition", tag = openapi::PARTIES,
    security(("maskinporten" = ["portvakt:operator"])),
    request_body = Body,
    responses((status = 200, body = own::EventPosition)),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    operator: Operator,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    if !(0..=SEQUENCE_MAX).contains(&body.position) {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("`position`: expected 0 to {SEQUENCE_MAX}")));
    }
    let mut change = state.store.change().await?;
    let before = store::position(change.connection(), body.stream.as_str()).await?;
    let answer = json!({ "stream": body.stream.as_str(), "position": body.position });
    store::set_position(change.connection(), body.stream.as_str(), body.position).await?;
    let log =
        json!({ "by": operator.organization, "stream": body.stream.as_str(), "from": before, "to": body.position });
    change.commit(state.clock.now(), "party_events_position_set", log).await?;
    Ok(Json(answer))
}
