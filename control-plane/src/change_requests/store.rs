//! The table of change requests. An archived one is kept for the record: its id stays taken.

use policies::Timestamp;
use policies::id::{OrganizationNumber, SystemId, SystemUserId};
use uuid::Uuid;

use super::model::{ChangeRequest, ChangeRequestId, WantedChange};
use crate::page::{self, Position};
use crate::requests::model::CustomerDecision;
use crate::requests::store::waiting;
use crate::right::stored;
use crate::store::{Connection, decoded};

const TABLE: &str = "change_request";

#[derive(sqlx::FromRow)]
struct ChangeRequestRow {
    id: String,
    #[sqlx(rename = "systemuser")]
    system_user: String,
    system: String,
    party: String,
    external_ref: String,
    required_rights: String,
    unwanted_rights: String,
    required_packages: String,
    unwanted_packages: String,
    redirect_url: Option<String>,
    status: String,
    created_at: i64,
    decided_at: Option<i64>,
    decided_by: Option<i64>,
}

pub(super) async fn find(
    connection: &mut Connection,
    id: ChangeRequestId,
) -> Result<Option<ChangeRequest>, sqlx::Error> {
    let row: Option<ChangeRequestRow> =
        sqlx::query_as("SELECT * FROM change_request WHERE id = $1 AND archived_at IS NULL")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(change_request).transpose()
}

/// Whether there ever was one with this id.
pub(super) async fn is_taken(connection: &mut Connection, id: ChangeRequestId) -> Result<bool, sqlx::Error> {
    let taken: Option<i64> = sqlx::query_scalar("SELECT created_at FROM change_request WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    Ok(taken.is_some())
}

/// The newest one of the system users of this system, owner and reference.
pub(super) async fn newest_by_reference(
    connection: &mut Connection,
    party: OrganizationNumber,
    system: &SystemId,
    external_ref: &str,
) -> Result<Option<ChangeRequest>, sqlx::Error> {
    let row: Option<ChangeRequestRow> = sqlx::query_as(
        "SELECT * FROM change_request WHERE system = $1 AND party = $2 AND external_ref = $3 AND archived_at IS NULL \
         ORDER BY created_at DESC, id DESC LIMIT 1",
    )
    .bind(system.as_str())
    .bind(party.to_string())
    .bind(external_ref)
    .fetch_optional(connection)
    .await?;
    row.map(change_request).transpose()
}

/// A system's change requests after a position, one more than a page has.
pub(super) async fn of_system(
    connection: &mut Connection,
    system: &SystemId,
    after: Position,
) -> Result<Vec<ChangeRequest>, sqlx::Error> {
    let rows: Vec<ChangeRequestRow> = sqlx::query_as(
        "SELECT * FROM change_request WHERE system = $1 AND archived_at IS NULL \
         AND (created_at > $2 OR (created_at = $2 AND id > $3)) ORDER BY created_at, id LIMIT $4",
    )
    .bind(system.as_str())
    .bind(after.0)
    .bind(after.id_text())
    .bind(page::entries_asked())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(change_request).collect()
}

/// Those that came at an instant or before, wait still and are not marked, oldest first.
pub(super) async fn timed_out(
    connection: &mut Connection,
    created_until: Timestamp,
    count: i64,
) -> Result<Vec<ChangeRequest>, sqlx::Error> {
    let rows: Vec<ChangeRequestRow> = waiting::timed_out(connection, TABLE, created_until, count).await?;
    rows.into_iter().map(change_request).collect()
}

/// Marks one that waits still; false if it does not any more.
pub(super) async fn mark_timed_out(
    connection: &mut Connection,
    id: ChangeRequestId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    waiting::mark_timed_out(connection, TABLE, &id.to_string(), now).await
}

pub(super) async fn insert(connection: &mut Connection, request: &ChangeRequest) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO change_request (id, systemuser, system, party, external_ref, required_rights, unwanted_rights, \
         required_packages, unwanted_packages, redirect_url, status, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'New', $11)",
    )
    .bind(request.id.to_string())
    .bind(request.system_user.to_string())
    .bind(request.system.as_str())
    .bind(request.party.to_string())
    .bind(&request.external_ref)
    .bind(stored::rights_text(&request.wanted.required_rights))
    .bind(stored::rights_text(&request.wanted.unwanted_rights))
    .bind(stored::packages_text(&request.wanted.required_packages))
    .bind(stored::packages_text(&request.wanted.unwanted_packages))
    .bind(&request.redirect_url)
    .bind(request.created_at.unix_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores what the customer decided.
pub(super) async fn update_decision(connection: &mut Connection, request: &ChangeRequest) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE change_request SET status = $1, decided_at = $2, decided_by = $3 WHERE id = $4")
        .bind(CustomerDecision::status_text(request.decision))
        .bind(request.decision.map(|decision| decision.at.unix_millis()))
        .bind(request.decision.map(|decision| decision.user_id))
        .bind(request.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn archive(
    connection: &mut Connection,
    id: ChangeRequestId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE change_request SET archived_at = $1 WHERE id = $2")
        .bind(now.unix_millis())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn change_request(row: ChangeRequestRow) -> Result<ChangeRequest, sqlx::Error> {
    let decision = CustomerDecision::of_columns(&row.status, row.decided_by, row.decided_at);
    Ok(ChangeRequest {
        id: ChangeRequestId(decoded(Uuid::parse_str(&row.id))?),
        system_user: decoded(SystemUserId::parse(&row.system_user))?,
        system: decoded(SystemId::parse(&row.system))?,
        party: decoded(OrganizationNumber::parse(&row.party))?,
        external_ref: row.external_ref,
        wanted: WantedChange {
            required_rights: stored::rights(&row.required_rights)?,
            unwanted_rights: stored::rights(&row.unwanted_rights)?,
            required_packages: stored::packages(&row.required_packages)?,
            unwanted_packages: stored::packages(&row.unwanted_packages)?,
        },
        redirect_url: row.redirect_url,
        created_at: Timestamp::from_unix_millis(row.created_at),
        decision,
    })
}
