//! `POST /portvakt/v1/parties/{party}/agents/{systemUserId}/clients/jobs`: something is done to many clients.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use policies::id::{PartyUuid, SystemUserId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::{Action, Job, Progress};
use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{ClientAdministrationWrite, PartyAccess};
use crate::client_delegations::agents::{InPath, owned};
use crate::client_delegations::{candidates, store as clients, through_vendor};
use crate::json::OwnJson;
use crate::openapi::{self, clients as schemas};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::SystemUser;

/// Clients of one job.
const CLIENTS_MAX: usize = 20_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CreateClientJob)]
pub(super) struct Body {
    action: Action,
    /// Of a move: the agent system user that has the clients now.
    #[schema(value_type = Option<String>, format = "uuid")]
    from: Option<SystemUserId>,
    /// Party uuids, at most 20,000. Without it: all that can be added, or all that are there.
    #[schema(value_type = Option<Vec<String>>)]
    clients: Option<Vec<PartyUuid>>,
}

type Answer = (StatusCode, [(HeaderName, String); 1], Json<Value>);

/// Adds, removes or moves many clients. The answer comes at once, `Location` says how far it is.
#[utoipa::path(
    post, path = "/portvakt/v1/parties/{party}/agents/{system_user_id}/clients/jobs", operation_id = "createClientJob", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = Body,
    responses(
        (status = 202, description = "`Location` is the job", body = schemas::ClientJob),
        (status = 400, description = "`AUTH-00034`, or the body is wrong"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<ClientAdministrationWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    base: BaseUrl,
    OwnJson(body): OwnJson<Body>,
) -> Result<Answer, Problem> {
    let now = state.clock.now();
    let id = state.ids.uuid().map_err(Problem::internal)?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = owned(connection, system_user_id, caller.organization()).await?;
    let source = match (body.action, body.from) {
        (Action::Move, Some(from)) if from != user.id => Some(owned(connection, from, user.owner).await?),
        (Action::Add | Action::Remove, None) => None,
        _ => return Err(invalid("`from` is another agent system user, of a move and of nothing else")),
    };
    let clients: BTreeSet<PartyUuid> = match body.clients {
        Some(clients) => clients.into_iter().collect(),
        None => all(connection, &user, source.as_ref(), body.action).await?,
    };
    if clients.len() > CLIENTS_MAX {
        return Err(invalid(&format!("`clients`: at most {CLIENTS_MAX}")));
    }
    let clients: Vec<_> = clients.into_iter().collect();
    let job = Job {
        id,
        system_user: user.id,
        action: body.action,
        moved_from: source.map(|source| source.id),
        created_at: now,
        created_by: caller.user_id(),
        finished_at: clients.is_empty().then_some(now),
    };
    store::insert(connection, &job, &clients).await?;
    if job.finished_at.is_some() {
        store::finish(connection, job.id, now).await?;
    }
    let log = json!({
        "job": job.id, "systemUser": user.id, "provider": user.owner, "action": job.action, "from": job.moved_from,
        "clients": clients.len(), "by": job.created_by,
    });
    change.commit(now, "client_job_created", log).await?;
    state.client_jobs.notify_one();
    let path = format!("portvakt/v1/parties/{}/agents/{}/clients/jobs/{}", caller.party.id, user.id, job.id);
    let progress = Progress { waiting: i64::try_from(clients.len()).unwrap_or(i64::MAX), ..Progress::default() };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("{}{path}", *base))], Json(job.json(progress))))
}

/// All that the action can be done to now.
async fn all(
    connection: &mut Connection,
    user: &SystemUser,
    source: Option<&SystemUser>,
    action: Action,
) -> Result<BTreeSet<PartyUuid>, Problem> {
    if action == Action::Add {
        let count = CLIENTS_MAX + 1;
        let found = candidates::with_packages(connection, user.owner, &user.client_packages, "", count).await?;
        return Ok(found.into_iter().map(|candidate| candidate.party.uuid).collect());
    }
    let from = source.unwrap_or(user);
    let delegations = clients::page(connection, from.id, "", i64::MAX).await?;
    let organizations = delegations.iter().map(|delegation| delegation.client).collect();
    let parties = through_vendor::in_order(connection, &organizations).await?;
    Ok(parties.into_iter().map(|party| party.uuid).collect())
}

fn invalid(detail: &str) -> Problem {
    Problem::new(codes::FIELD_INVALID).detail(detail)
}
