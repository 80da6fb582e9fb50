//! The work on jobs: one piece after another, each a change of its own, until all are finished.
//!
//! Where several control planes share a database each of them takes pieces; a piece is chosen and done in one change, so
//! nothing is done twice.

use std::time::Duration;

use policies::Timestamp;
use serde_json::{Value, json};

use super::model::{Action, Item, Job};
use super::store;
use crate::client_delegations::model::ClientDelegation;
use crate::client_delegations::{add, remove, store as clients};
use crate::parties;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users;
use crate::system_users::model::{SystemUser, SystemUserKind};

/// Clients of one change.
pub(super) const CLIENTS_OF_PIECE: i64 = 200;
/// Between two looks when nobody says that there is something to do.
const LOOK: Duration = Duration::from_secs(30);
/// After a failure of ours.
const RETRY: Duration = Duration::from_secs(5);

/// Works until the service stops.
pub(crate) async fn keep_going(state: AppState) {
    loop {
        let pause = match piece(&state).await {
            Ok(true) if state.is_stopping() => return,
            Ok(true) => continue,
            Ok(false) => LOOK,
            Err(problem) => {
                tracing::error!("cannot go on with the jobs of clients: {:#}", problem.into_error());
                RETRY
            }
        };
        tokio::select! {
            biased;
            () = state.stopped() => return,
            () = state.client_jobs.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does the next piece of the oldest job; whether there was one.
pub(crate) async fn piece(state: &AppState) -> Result<bool, Problem> {
    let mut connection = state.store.read().await?;
    if store::oldest_unfinished(&mut connection).await?.is_none() {
        return Ok(false);
    }
    drop(connection);
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let Some(job) = store::oldest_unfinished(connection).await? else { return Ok(false) };
    let agents = Agents::of(connection, &job).await?;
    let items = store::waiting(connection, job.id, CLIENTS_OF_PIECE).await?;
    let mut changed = Vec::new();
    for item in &items {
        match one(connection, state, &job, agents.as_ref(), item, now).await {
            Ok(Some(client)) => {
                changed.push(client);
                store::set_outcome(connection, job.id, item, None).await?;
            }
            Ok(None) => store::set_outcome(connection, job.id, item, None).await?,
            Err(problem) if problem.is_internal() => return Err(problem),
            Err(problem) => store::set_outcome(connection, job.id, item, Some(problem.code())).await?,
        }
    }
    if store::waiting(connection, job.id, 1).await?.is_empty() {
        store::finish(connection, job.id, now).await?;
    }
    let log = json!({
        "job": job.id, "systemUser": job.system_user, "action": job.action, "from": job.moved_from,
        "looked": items.len(), "changed": changed, "by": job.created_by,
    });
    change.commit(now, "client_job_went_on", log).await?;
    Ok(true)
}

/// The agent system users of a job, while they are there.
struct Agents {
    user: SystemUser,
    source: Option<SystemUser>,
}

impl Agents {
    async fn of(connection: &mut Connection, job: &Job) -> Result<Option<Self>, sqlx::Error> {
        let is_live = |user: &SystemUser| user.withdrawn_at.is_none() && user.kind == SystemUserKind::Agent;
        let user = system_users::store::find(connection, job.system_user).await?.filter(is_live);
        let source = match job.moved_from {
            None => None,
            Some(id) => match system_users::store::find(connection, id).await?.filter(is_live) {
                None => return Ok(None),
                found => found,
            },
        };
        Ok(user.map(|user| Self { user, source }))
    }
}

/// Does what the job is for to one client; what changed, for the change log.
async fn one(
    connection: &mut Connection,
    state: &AppState,
    job: &Job,
    agents: Option<&Agents>,
    item: &Item,
    now: Timestamp,
) -> Result<Option<Value>, Problem> {
    let Agents { user, source } = agents.ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let party = parties::store::find_uuid(connection, item.client).await?;
    match (job.action, source) {
        (Action::Add, _) => {
            let added = add::add(connection, &*state.ids, user, party, job.created_by, now).await?;
            let log = json!({ "client": added.delegation.client, "basis": added.candidate.basis() });
            Ok(added.is_new.then_some(log))
        }
        (Action::Remove, _) => {
            let client = party.ok_or(codes::DELEGATION_NOT_FOUND)?.organization;
            let removed = remove::remove(connection, user, client).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
            Ok(Some(json!({ "client": removed.client })))
        }
        (Action::Move, Some(source)) => {
            let client = party.as_ref().ok_or(codes::DELEGATION_NOT_FOUND)?.organization;
            let there = clients::find(connection, source.id, client).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
            // The owner is a client of its own without a relation.
            if client == user.owner {
                add_owner(connection, state, job, user, now).await?;
            } else {
                add::add(connection, &*state.ids, user, party, job.created_by, now).await?;
            }
            clients::delete(connection, &there).await?;
            Ok(Some(json!({ "client": client })))
        }
        (Action::Move, None) => Err(codes::SYSTEM_USER_NOT_FOUND.into()),
    }
}

async fn add_owner(
    connection: &mut Connection,
    state: &AppState,
    job: &Job,
    user: &SystemUser,
    now: Timestamp,
) -> Result<(), Problem> {
    if clients::find(connection, user.id, user.owner).await?.is_some() {
        return Ok(());
    }
    let id = state.ids.uuid().map_err(Problem::internal)?;
    let (client, created_by) = (user.owner, job.created_by);
    let delegation = ClientDelegation { id, system_user: user.id, client, created_at: now, created_by };
    Ok(clients::insert(connection, &delegation, &user.client_packages).await?)
}
