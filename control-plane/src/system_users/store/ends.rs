//! What ends by itself: system users and single rights, when their time is over.

use policies::Timestamp;
use policies::id::SystemUserId;

use crate::store::Connection;
use crate::system_users::model::SystemUser;

/// Live system users whose time is over, those that have waited longest first.
pub(in crate::system_users) async fn expired(
    connection: &mut Connection,
    now: Timestamp,
    count: i64,
) -> Result<Vec<SystemUser>, sqlx::Error> {
    let rows: Vec<super::SystemUserRow> = sqlx::query_as(
        "SELECT * FROM systemuser WHERE valid_to IS NOT NULL AND valid_to <= $1 AND withdrawn_at IS NULL \
         ORDER BY valid_to, id LIMIT $2",
    )
    .bind(now.unix_millis())
    .bind(count)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(super::system_user).collect()
}

/// Says when the system user ends by itself.
pub(in crate::system_users) async fn set_valid_to(
    connection: &mut Connection,
    id: SystemUserId,
    valid_to: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE systemuser SET valid_to = $1 WHERE id = $2")
        .bind(valid_to.map(Timestamp::unix_millis))
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// A right that a live system user holds though its time is over.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::system_users) struct EndedRight {
    #[sqlx(rename = "systemuser")]
    pub(in crate::system_users) system_user: String,
    pub(in crate::system_users) party: String,
    position: i64,
    pub(in crate::system_users) resource: String,
    pub(in crate::system_users) action: Option<String>,
}

/// Rights of live system users whose time is over, those that have waited longest first.
pub(in crate::system_users) async fn ended_rights(
    connection: &mut Connection,
    now: Timestamp,
    count: i64,
) -> Result<Vec<EndedRight>, sqlx::Error> {
    sqlx::query_as(
        "SELECT held.systemuser, held.party, held.position, held.resource, held.action FROM delegated_right AS held \
         JOIN systemuser ON systemuser.id = held.systemuser AND systemuser.withdrawn_at IS NULL \
         WHERE held.valid_to IS NOT NULL AND held.valid_to <= $1 \
         ORDER BY held.valid_to, held.systemuser, held.party, held.position LIMIT $2",
    )
    .bind(now.unix_millis())
    .bind(count)
    .fetch_all(connection)
    .await
}

/// Takes a right away.
pub(in crate::system_users) async fn end_right(
    connection: &mut Connection,
    ended: &EndedRight,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM delegated_right WHERE systemuser = $1 AND party = $2 AND position = $3")
        .bind(&ended.system_user)
        .bind(&ended.party)
        .bind(ended.position)
        .execute(connection)
        .await?;
    Ok(())
}
