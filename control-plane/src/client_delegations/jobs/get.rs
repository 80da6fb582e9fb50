//! `GET /portvakt/v1/parties/{party}/agents/{systemUserId}/clients/jobs/{jobId}`: how far a job is, and what failed.

use axum::Json;
use axum::extract::State;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::Failure;
use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{ClientAdministrationRead, PartyAccess};
use crate::client_delegations::agents::owned;
use crate::openapi::{self, clients as schemas};
use crate::parameters::{PathOf, Query, whole_number};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Failures of a page.
const ENTRIES: usize = 500;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
    job_id: Uuid,
}

/// How far a job is, and which clients nothing was done to, with the code that a call for that one would have had.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/{party}/agents/{system_user_id}/clients/jobs/{job_id}", operation_id = "getClientJob", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("after" = Option<i64>, Query, description = "Of `links.next`")),
    responses((status = 200, body = schemas::ClientJob), (status = 404, description = "`AUTH-00015` or `client_job_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<ClientAdministrationRead>,
    PathOf(InPath { system_user_id, job_id }): PathOf<InPath>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let after = query.parsed("after", whole_number::<i64>)?.unwrap_or(-1);
    let mut connection = state.store.read().await?;
    let user = owned(&mut connection, system_user_id, caller.organization()).await?;
    let job = store::find(&mut connection, job_id).await?.filter(|job| job.system_user == user.id);
    let job = job.ok_or(codes::CLIENT_JOB_UNKNOWN)?;
    let progress = store::progress(&mut connection, job.id).await?;
    let count = i64::try_from(ENTRIES + 1).unwrap_or(i64::MAX);
    let failures = store::failures(&mut connection, job.id, after, count).await?;
    let (shown, rest) = failures.split_at_checked(ENTRIES).unwrap_or((&failures, &[]));
    let mut links = json!({});
    if let (Some(last), false) = (shown.last(), rest.is_empty()) {
        let path = format!("portvakt/v1/parties/{}/agents/{}/clients/jobs/{}", caller.party.id, user.id, job.id);
        links = json!({ "next": format!("{}{path}?after={}", *base, last.position) });
    }
    let mut answer = job.json(progress);
    if let Some(members) = answer.as_object_mut() {
        members.insert("links".to_owned(), links);
        members.insert("failures".to_owned(), shown.iter().map(failure_json).collect());
    }
    Ok(Json(answer))
}

fn failure_json(failure: &Failure) -> Value {
    json!({ "client": failure.client, "code": failure.code })
}
