//! The tables of published bases and deltas, and the epoch.

use policies::Timestamp;
use policies::id::ProviderId;
use policies::snapshot::{Manifest, SnapshotVersion};

use crate::store::{Connection, decoded};

/// A base with its deltas, as they were published.
pub(super) struct Stored {
    pub(super) provider: ProviderId,
    /// Of the last piece.
    pub(super) version: SnapshotVersion,
    pub(super) base: Vec<u8>,
    pub(super) deltas: Vec<(u64, Vec<u8>)>,
}

/// This database's epoch; `None` before the first start.
pub(super) async fn epoch(connection: &mut Connection) -> Result<Option<u64>, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM setting WHERE name = 'snapshot_epoch'")
        .fetch_optional(connection)
        .await?;
    text.map(|text| decoded(text.parse())).transpose()
}

pub(super) async fn insert_epoch(connection: &mut Connection, epoch: u64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO setting (name, value) VALUES ('snapshot_epoch', $1)")
        .bind(epoch.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// What every provider's gateways were last given.
pub(super) async fn all(connection: &mut Connection) -> Result<Vec<Stored>, sqlx::Error> {
    let rows: Vec<(String, i64, i64, Vec<u8>)> =
        sqlx::query_as("SELECT provider, epoch, version, body FROM snapshot ORDER BY provider")
            .fetch_all(&mut *connection)
            .await?;
    let mut all = Vec::with_capacity(rows.len());
    for (provider, epoch, version, base) in rows {
        let deltas: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT version, body FROM snapshot_delta WHERE provider = $1 ORDER BY version")
                .bind(&provider)
                .fetch_all(&mut *connection)
                .await?;
        let version = deltas.last().map_or(version, |(version, _)| *version);
        all.push(Stored {
            provider: decoded(ProviderId::parse(&provider))?,
            version: SnapshotVersion { epoch: epoch.cast_unsigned(), version: version.cast_unsigned() },
            base,
            deltas: deltas.into_iter().map(|(version, body)| (version.cast_unsigned(), body)).collect(),
        });
    }
    Ok(all)
}

/// Adds a delta to the provider's base.
pub(super) async fn add_delta(
    connection: &mut Connection,
    manifest: &Manifest,
    piece: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO snapshot_delta (provider, version, body) VALUES ($1, $2, $3)")
        .bind(manifest.provider.as_str())
        .bind(manifest.version.version.cast_signed())
        .bind(piece)
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces the provider's base, and its deltas with none.
pub(super) async fn replace(connection: &mut Connection, manifest: &Manifest, body: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM snapshot_delta WHERE provider = $1")
        .bind(manifest.provider.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO snapshot (provider, epoch, version, revision, issued_at, not_after, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (provider) DO UPDATE SET epoch = excluded.epoch, version = excluded.version, \
         revision = excluded.revision, issued_at = excluded.issued_at, not_after = excluded.not_after, \
         body = excluded.body",
    )
    .bind(manifest.provider.as_str())
    .bind(manifest.version.epoch.cast_signed())
    .bind(manifest.version.version.cast_signed())
    .bind(manifest.revision.cast_signed())
    .bind(Timestamp::unix_millis(manifest.issued_at))
    .bind(Timestamp::unix_millis(manifest.not_after))
    .bind(body)
    .execute(connection)
    .await?;
    Ok(())
}
