//! The tables of jobs and their items.

use policies::Timestamp;
use policies::id::{PartyUuid, SystemUserId};
use uuid::Uuid;

use super::model::{Failure, Item, Job, Progress};
use crate::store::{Connection, decoded};

#[derive(sqlx::FromRow)]
struct JobRow {
    id: String,
    #[sqlx(rename = "systemuser")]
    system_user: String,
    action: String,
    moved_from: Option<String>,
    created_at: i64,
    created_by: i64,
    finished_at: Option<i64>,
}

pub(super) async fn insert(connection: &mut Connection, job: &Job, clients: &[PartyUuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO client_job (id, systemuser, action, moved_from, created_at, created_by) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(text(job.id))
    .bind(job.system_user.to_string())
    .bind(job.action.code())
    .bind(job.moved_from.map(|id| id.to_string()))
    .bind(job.created_at.unix_millis())
    .bind(job.created_by)
    .execute(&mut *connection)
    .await?;
    for (position, client) in (0_i64..).zip(clients) {
        sqlx::query("INSERT INTO client_job_item (job, position, client, state) VALUES ($1, $2, $3, 'waiting')")
            .bind(text(job.id))
            .bind(position)
            .bind(client.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn find(connection: &mut Connection, id: Uuid) -> Result<Option<Job>, sqlx::Error> {
    let row: Option<JobRow> =
        sqlx::query_as("SELECT * FROM client_job WHERE id = $1").bind(text(id)).fetch_optional(connection).await?;
    row.map(job).transpose()
}

/// The oldest job that is not finished.
pub(super) async fn oldest_unfinished(connection: &mut Connection) -> Result<Option<Job>, sqlx::Error> {
    let row: Option<JobRow> =
        sqlx::query_as("SELECT * FROM client_job WHERE finished_at IS NULL ORDER BY created_at, id LIMIT 1")
            .fetch_optional(connection)
            .await?;
    row.map(job).transpose()
}

/// The job's next items that nothing was done to yet.
pub(super) async fn waiting(connection: &mut Connection, job: Uuid, count: i64) -> Result<Vec<Item>, sqlx::Error> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT position, client FROM client_job_item WHERE job = $1 AND state = 'waiting' ORDER BY position LIMIT $2",
    )
    .bind(text(job))
    .bind(count)
    .fetch_all(connection)
    .await?;
    let item = |(position, client): (i64, String)| Ok(Item { position, client: decoded(PartyUuid::parse(&client))? });
    rows.into_iter().map(item).collect()
}

/// What became of an item; a failure has a code.
pub(super) async fn set_outcome(
    connection: &mut Connection,
    job: Uuid,
    item: &Item,
    failure: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE client_job_item SET state = $1, code = $2 WHERE job = $3 AND position = $4")
        .bind(if failure.is_some() { "failed" } else { "done" })
        .bind(failure)
        .bind(text(job))
        .bind(item.position)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn finish(connection: &mut Connection, job: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE client_job SET finished_at = $1 WHERE id = $2")
        .bind(now.unix_millis())
        .bind(text(job))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn progress(connection: &mut Connection, job: Uuid) -> Result<Progress, sqlx::Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM client_job_item WHERE job = $1 GROUP BY state")
            .bind(text(job))
            .fetch_all(connection)
            .await?;
    let mut progress = Progress::default();
    for (state, count) in rows {
        match state.as_str() {
            "done" => progress.done = count,
            "failed" => progress.failed = count,
            _ => progress.waiting = count,
        }
    }
    Ok(progress)
}

/// What failed, from a position on.
pub(super) async fn failures(
    connection: &mut Connection,
    job: Uuid,
    after: i64,
    count: i64,
) -> Result<Vec<Failure>, sqlx::Error> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT position, client, code FROM client_job_item WHERE job = $1 AND state = 'failed' AND position > $2 \
         ORDER BY position LIMIT $3",
    )
    .bind(text(job))
    .bind(after)
    .bind(count)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(position, client, code)| Failure { position, client, code }).collect())
}

fn text(id: Uuid) -> String {
    id.hyphenated().to_string()
}

fn job(row: JobRow) -> Result<Job, sqlx::Error> {
    Ok(Job {
        id: decoded(Uuid::parse_str(&row.id))?,
        system_user: decoded(SystemUserId::parse(&row.system_user))?,
        action: decoded(row.action.parse())?,
        moved_from: row.moved_from.map(|id| decoded(SystemUserId::parse(&id))).transpose()?,
        created_at: Timestamp::from_unix_millis(row.created_at),
        created_by: row.created_by,
        finished_at: row.finished_at.map(Timestamp::from_unix_millis),
    })
}
