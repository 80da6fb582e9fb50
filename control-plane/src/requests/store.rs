//! The table of requests. An archived request is kept for the record and never read again here.

pub(crate) mod waiting;

use policies::Timestamp;
use policies::id::{OrganizationNumber, SystemId};
use uuid::Uuid;

use super::model::{CustomerDecision, RequestId, SystemUserRequest, newest_timed_out};
use crate::page::{self, Position};
use crate::right::stored;
use crate::store::{Connection, decoded, is_true};
use crate::system_users::model::SystemUserKind;

const TABLE: &str = "system_user_request";
/// Requests of a kind that are shown as waiting; Altinn's list has no pages, and a vendor may ask as often as it likes.
pub(super) const WAITING_SHOWN_MAX: i64 = 1000;

#[derive(sqlx::FromRow)]
struct RequestRow {
    id: String,
    kind: String,
    system: String,
    party: String,
    external_ref: String,
    integration_title: String,
    redirect_url: Option<String>,
    rights: String,
    access_packages: String,
    status: String,
    created_at: i64,
    valid_to: Option<i64>,
    decided_at: Option<i64>,
    decided_by: Option<i64>,
    is_escalated: i64,
}

pub(super) async fn find(connection: &mut Connection, id: RequestId) -> Result<Option<SystemUserRequest>, sqlx::Error> {
    let row: Option<RequestRow> =
        sqlx::query_as("SELECT * FROM system_user_request WHERE id = $1 AND archived_at IS NULL")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(request).transpose()
}

pub(crate) async fn find_by_reference(
    connection: &mut Connection,
    party: OrganizationNumber,
    system: &SystemId,
    external_ref: &str,
) -> Result<Option<SystemUserRequest>, sqlx::Error> {
    let row: Option<RequestRow> = sqlx::query_as(
        "SELECT * FROM system_user_request \
         WHERE party = $1 AND system = $2 AND external_ref = $3 AND archived_at IS NULL",
    )
    .bind(party.to_string())
    .bind(system.as_str())
    .bind(external_ref)
    .fetch_optional(connection)
    .await?;
    row.map(request).transpose()
}

pub(super) async fn insert(connection: &mut Connection, request: &SystemUserRequest) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO system_user_request (id, kind, system, party, external_ref, integration_title, redirect_url, rights, \
         access_packages, status, created_at, valid_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'New', $10, $11)",
    )
    .bind(request.id.to_string())
    .bind(request.kind.code())
    .bind(request.system.as_str())
    .bind(request.party.to_string())
    .bind(&request.external_ref)
    .bind(&request.integration_title)
    .bind(&request.redirect_url)
    .bind(stored::rights_text(&request.rights))
    .bind(stored::packages_text(&request.access_packages))
    .bind(request.created_at.unix_millis())
    .bind(request.valid_to.map(Timestamp::unix_millis))
    .execute(connection)
    .await?;
    Ok(())
}

/// A system's requests of this kind after a position, one more than a page has.
pub(super) async fn of_system(
    connection: &mut Connection,
    system: &SystemId,
    kind: SystemUserKind,
    after: Position,
) -> Result<Vec<SystemUserRequest>, sqlx::Error> {
    let rows: Vec<RequestRow> = sqlx::query_as(
        "SELECT * FROM system_user_request WHERE system = $1 AND kind = $2 AND archived_at IS NULL \
         AND (created_at > $3 OR (created_at = $3 AND id > $4)) ORDER BY created_at, id LIMIT $5",
    )
    .bind(system.as_str())
    .bind(kind.code())
    .bind(after.0)
    .bind(after.id_text())
    .bind(page::entries_asked())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(request).collect()
}

/// Those that came at an instant or before, wait still and are not marked, oldest first.
pub(super) async fn timed_out(
    connection: &mut Connection,
    created_until: Timestamp,
    count: i64,
) -> Result<Vec<SystemUserRequest>, sqlx::Error> {
    let rows: Vec<RequestRow> = waiting::timed_out(connection, TABLE, created_until, count).await?;
    rows.into_iter().map(request).collect()
}

/// Marks one that waits still; false if it does not any more.
pub(super) async fn mark_timed_out(
    connection: &mut Connection,
    id: RequestId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    waiting::mark_timed_out(connection, TABLE, &id.to_string(), now).await
}

/// Stores what the customer decided.
pub(super) async fn update_decision(
    connection: &mut Connection,
    request: &SystemUserRequest,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE system_user_request SET status = $1, decided_at = $2, decided_by = $3 WHERE id = $4")
        .bind(CustomerDecision::status_text(request.decision))
        .bind(request.decision.map(|decision| decision.at.unix_millis()))
        .bind(request.decision.map(|decision| decision.user_id))
        .bind(request.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// What waits for the party's decision, the oldest [`WAITING_SHOWN_MAX`]; of requests for agents those that were escalated.
pub(super) async fn undecided(
    connection: &mut Connection,
    party: OrganizationNumber,
    kind: SystemUserKind,
    now: Timestamp,
) -> Result<Vec<SystemUserRequest>, sqlx::Error> {
    let rows: Vec<RequestRow> = sqlx::query_as(
        "SELECT * FROM system_user_request WHERE party = $1 AND kind = $2 AND status = 'New' AND archived_at IS NULL \
         AND created_at > $3 AND (kind = 'standard' OR is_escalated = 1) ORDER BY created_at, id LIMIT $4",
    )
    .bind(party.to_string())
    .bind(kind.code())
    .bind(newest_timed_out(now).unix_millis())
    .bind(WAITING_SHOWN_MAX)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(request).collect()
}

pub(super) async fn mark_escalated(connection: &mut Connection, id: RequestId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE system_user_request SET is_escalated = 1 WHERE id = $1")
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn archive(connection: &mut Connection, id: RequestId, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE system_user_request SET archived_at = $1 WHERE id = $2")
        .bind(now.unix_millis())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn request(row: RequestRow) -> Result<SystemUserRequest, sqlx::Error> {
    let decision = CustomerDecision::of_columns(&row.status, row.decided_by, row.decided_at);
    Ok(SystemUserRequest {
        id: RequestId(decoded(Uuid::parse_str(&row.id))?),
        kind: decoded(row.kind.parse())?,
        system: decoded(SystemId::parse(&row.system))?,
        party: decoded(OrganizationNumber::parse(&row.party))?,
        external_ref: row.external_ref,
        integration_title: row.integration_title,
        redirect_url: row.redirect_url,
        rights: stored::rights(&row.rights)?,
        access_packages: stored::packages(&row.access_packages)?,
        created_at: Timestamp::from_unix_millis(row.created_at),
        valid_to: row.valid_to.map(Timestamp::from_unix_millis),
        is_escalated: is_true(row.is_escalated),
        decision,
    })
}
