//! The tables of identities and login sessions.

use policies::Timestamp;
use uuid::Uuid;

use crate::hash::sha256_hex;
use crate::store::{Connection, is_true};

/// The user that an identity (a national identity number, an issuer's subject) belongs to. Identities are stored hashed, so
/// that they are not read by accident; numbers of eleven digits are no secret to whoever tries them all.
pub(super) async fn user_of_identity(connection: &mut Connection, identity: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT user_id FROM user_identity WHERE identity_sha256 = $1")
        .bind(sha256_hex(identity.as_bytes()))
        .fetch_optional(connection)
        .await
}

pub(super) async fn put_identity(connection: &mut Connection, identity: &str, user_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO user_identity (identity_sha256, user_id) VALUES ($1, $2) \
         ON CONFLICT (identity_sha256) DO UPDATE SET user_id = excluded.user_id",
    )
    .bind(sha256_hex(identity.as_bytes()))
    .bind(user_id)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn begin_session(
    connection: &mut Connection,
    session: Uuid,
    user_id: i64,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO login_session (id, user_id, started_at) VALUES ($1, $2, $3)")
        .bind(session.to_string())
        .bind(user_id)
        .bind(now.unix_millis())
        .execute(connection)
        .await?;
    Ok(())
}

/// `false` when there was none that could be ended.
pub(crate) async fn end_session(
    connection: &mut Connection,
    session: Uuid,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query("UPDATE login_session SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL")
        .bind(now.unix_millis())
        .bind(session.to_string())
        .execute(connection)
        .await?;
    Ok(ended.rows_affected() > 0)
}

pub(crate) async fn is_session_live(connection: &mut Connection, session: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM login_session WHERE id = $1 AND ended_at IS NULL) THEN 1 ELSE 0 END",
    )
    .bind(session.to_string())
    .fetch_one(connection)
    .await
    .map(is_true)
}

/// Forgets the sessions that nobody can renew any more.
pub(crate) async fn forget_sessions(connection: &mut Connection, before: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM login_session WHERE started_at < $1")
        .bind(before.unix_millis())
        .execute(connection)
        .await?;
    Ok(())
}
