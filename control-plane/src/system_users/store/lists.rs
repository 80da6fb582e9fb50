//! Long lists of system users: those of a system, page by page, and all of them in the order of their last change.

use policies::Timestamp;
use policies::id::{SystemId, SystemUserId};

use crate::page::{self, Position};
use crate::parties::PartyId;
use crate::store::{Connection, decoded};
use crate::system_users::model::SystemUser;

/// A system's live system users after a position, one more than a page has.
pub(in crate::system_users) async fn of_system(
    connection: &mut Connection,
    system: &SystemId,
    after: Position,
) -> Result<Vec<SystemUser>, sqlx::Error> {
    let rows: Vec<super::SystemUserRow> = sqlx::query_as(
        "SELECT * FROM systemuser WHERE system = $1 AND withdrawn_at IS NULL \
         AND (created_at > $2 OR (created_at = $2 AND id > $3)) ORDER BY created_at, id LIMIT $4",
    )
    .bind(system.as_str())
    .bind(after.0)
    .bind(after.id_text())
    .bind(page::entries_asked())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(super::system_user).collect()
}

/// A system user's place in the stream of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::system_users) struct StreamEntry {
    pub(in crate::system_users) number: i64,
    pub(in crate::system_users) user: SystemUser,
    pub(in crate::system_users) party: PartyId,
    pub(in crate::system_users) last_changed: Timestamp,
}

#[derive(sqlx::FromRow)]
struct StreamRow {
    number: i64,
    party_id: i64,
    changed_at: Option<i64>,
    #[sqlx(flatten)]
    user: super::SystemUserRow,
}

const SELECT: &str = "SELECT place.number, party.party_id, change_log.at AS changed_at, systemuser.* \
    FROM system_user_sequence AS place JOIN systemuser ON systemuser.id = place.systemuser \
    JOIN party ON party.organization = systemuser.owner \
    LEFT JOIN change_log ON change_log.revision = place.revision";

/// Those after a number, in order.
pub(in crate::system_users) async fn stream(
    connection: &mut Connection,
    after: i64,
    count: i64,
) -> Result<Vec<StreamEntry>, sqlx::Error> {
    let sql = format!("{SELECT} WHERE place.number > $1 ORDER BY place.number LIMIT $2");
    let rows: Vec<StreamRow> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(after).bind(count).fetch_all(connection).await?;
    rows.into_iter().map(entry).collect()
}

pub(in crate::system_users) async fn stream_entry(
    connection: &mut Connection,
    id: SystemUserId,
) -> Result<Option<StreamEntry>, sqlx::Error> {
    let sql = format!("{SELECT} WHERE place.systemuser = $1");
    let row: Option<StreamRow> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(connection).await?;
    row.map(entry).transpose()
}

/// The highest number; 0 when there are no system users.
pub(in crate::system_users) async fn stream_end(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    let end: Option<i64> =
        sqlx::query_scalar("SELECT max(number) FROM system_user_sequence").fetch_one(connection).await?;
    Ok(end.unwrap_or(0))
}

fn entry(row: StreamRow) -> Result<StreamEntry, sqlx::Error> {
    let user = super::system_user(row.user)?;
    let last_changed = row.changed_at.map_or(user.created_at, Timestamp::from_unix_millis);
    Ok(StreamEntry { number: row.number, party: decoded(PartyId::try_from(row.party_id))?, last_changed, user })
}
