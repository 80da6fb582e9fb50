//! The table of published snapshots, and the epoch.

use policies::Timestamp;
use policies::id::ProviderId;
use policies::snapshot::{Manifest, SnapshotVersion};
use sqlx::SqliteConnection;

use crate::store::decoded;

/// A snapshot as it was published.
pub(super) struct Stored {
    pub(super) provider: ProviderId,
    pub(super) version: SnapshotVersion,
    pub(super) body: Vec<u8>,
}

/// This database's epoch; `None` before the first start.
pub(super) async fn epoch(connection: &mut SqliteConnection) -> Result<Option<u64>, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM setting WHERE name = 'snapshot_epoch'")
        .fetch_optional(connection)
        .await?;
    text.map(|text| decoded(text.parse())).transpose()
}

pub(super) async fn insert_epoch(connection: &mut SqliteConnection, epoch: u64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO setting (name, value) VALUES ('snapshot_epoch', ?)")
        .bind(epoch.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Every provider's last published snapshot.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Stored>, sqlx::Error> {
    let rows: Vec<(String, i64, i64, Vec<u8>)> =
        sqlx::query_as("SELECT provider, epoch, version, body FROM snapshot ORDER BY provider")
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(provider, epoch, version, body)| {
            Ok(Stored {
                provider: decoded(ProviderId::parse(&provider))?,
                version: SnapshotVersion { epoch: epoch.cast_unsigned(), version: version.cast_unsigned() },
                body,
            })
        })
        .collect()
}

/// Replaces the provider's snapshot with a newer one.
pub(super) async fn replace(
    connection: &mut SqliteConnection,
    manifest: &Manifest,
    body: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO snapshot (provider, epoch, version, revision, issued_at, not_after, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?) \
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
