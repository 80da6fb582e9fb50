//! The table of revocations. Those that have ended are removed when another is made.

use policies::Timestamp;
use policies::id::{MaskinportenClientId, ProviderId, SystemUserId};
use policies::snapshot::RevokedDocument;
use uuid::Uuid;

use super::model::Revocation;
use crate::page::Position;
use crate::store::{Connection, decoded};

type Row = (String, String, String, String, i64, i64);

/// What a provider's gateways refuse now, the oldest first.
pub(crate) async fn all(
    connection: &mut Connection,
    provider: &ProviderId,
    now: Timestamp,
) -> Result<Vec<Revocation>, sqlx::Error> {
    after(connection, provider, now, &Position::START, i64::MAX).await
}

/// Those after a position, at most so many.
pub(super) async fn after(
    connection: &mut Connection,
    provider: &ProviderId,
    now: Timestamp,
    position: &Position,
    count: i64,
) -> Result<Vec<Revocation>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, kind, issuer, value, ends_at, created_at FROM revocation \
         WHERE provider = $1 AND ends_at > $2 AND (created_at > $3 OR created_at = $3 AND id > $4) \
         ORDER BY created_at, id LIMIT $5",
    )
    .bind(provider.as_str())
    .bind(now.unix_millis())
    .bind(position.0)
    .bind(position.id_text())
    .bind(count)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(read).collect()
}

fn read((id, kind, issuer, value, ends_at, created_at): Row) -> Result<Revocation, sqlx::Error> {
    let revoked = match kind.as_str() {
        "token" => RevokedDocument::Token { issuer, id: value },
        "client" => RevokedDocument::Client(decoded(MaskinportenClientId::parse(&value))?),
        _ => RevokedDocument::SystemUser(decoded(SystemUserId::parse(&value))?),
    };
    Ok(Revocation {
        id: decoded(id.parse())?,
        revoked,
        until: Timestamp::from_unix_millis(ends_at),
        created_at: Timestamp::from_unix_millis(created_at),
    })
}

pub(super) async fn count(connection: &mut Connection, provider: &ProviderId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM revocation WHERE provider = $1")
        .bind(provider.as_str())
        .fetch_one(connection)
        .await
}

pub(super) async fn insert(
    connection: &mut Connection,
    provider: &ProviderId,
    revocation: &Revocation,
) -> Result<(), sqlx::Error> {
    let (kind, issuer, value) = match &revocation.revoked {
        RevokedDocument::Token { issuer, id } => ("token", issuer.clone(), id.clone()),
        RevokedDocument::Client(client) => ("client", String::new(), client.to_string()),
        RevokedDocument::SystemUser(id) => ("system_user", String::new(), id.to_string()),
    };
    sqlx::query(
        "INSERT INTO revocation (id, provider, kind, issuer, value, ends_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(revocation.id.to_string())
    .bind(provider.as_str())
    .bind(kind)
    .bind(issuer)
    .bind(value)
    .bind(revocation.until.unix_millis())
    .bind(revocation.created_at.unix_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes what has ended.
pub(super) async fn remove_ended(
    connection: &mut Connection,
    provider: &ProviderId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM revocation WHERE provider = $1 AND ends_at <= $2")
        .bind(provider.as_str())
        .bind(now.unix_millis())
        .execute(connection)
        .await?;
    Ok(())
}

/// `false` when the provider has no such revocation.
pub(super) async fn delete(connection: &mut Connection, provider: &ProviderId, id: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM revocation WHERE provider = $1 AND id = $2")
        .bind(provider.as_str())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() > 0)
}
