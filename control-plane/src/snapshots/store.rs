//! The tables of published bases and deltas, the epoch, and what several control planes on one database agree on.

use policies::Timestamp;
use policies::id::ProviderId;
use policies::snapshot::Manifest;

use crate::store::{Connection, Revision, decoded};

/// Name of the setting with the public key that all control planes on this database sign with.
pub(super) const SIGNING_KEY: &str = "snapshot_public_key";
const EPOCH: &str = "snapshot_epoch";
const BUILT: &str = "snapshots_built";

/// A base with its deltas, as they were published.
pub(super) struct Stored {
    pub(super) provider: ProviderId,
    /// Version of the last piece.
    pub(super) last: u64,
    pub(super) base: Vec<u8>,
    pub(super) deltas: Vec<(u64, Vec<u8>)>,
}

/// Versions of a provider's stored base and of the last piece since.
pub(super) struct Head {
    pub(super) provider: ProviderId,
    pub(super) base: u64,
    pub(super) last: u64,
}

pub(super) async fn setting(connection: &mut Connection, name: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM setting WHERE name = $1").bind(name).fetch_optional(connection).await
}

pub(super) async fn set(connection: &mut Connection, name: &str, value: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

/// This database's epoch; `None` before the first start.
pub(super) async fn epoch(connection: &mut Connection) -> Result<Option<u64>, sqlx::Error> {
    setting(connection, EPOCH).await?.map(|text| decoded(text.parse())).transpose()
}

pub(super) async fn insert_epoch(connection: &mut Connection, epoch: u64) -> Result<(), sqlx::Error> {
    set(connection, EPOCH, &epoch.to_string()).await
}

/// The revision that was last built for all providers, as the control plane that has the lead says.
pub(super) async fn built(connection: &mut Connection) -> Result<Option<Revision>, sqlx::Error> {
    setting(connection, BUILT).await?.map(|text| decoded(text.parse()).map(Revision::from_u64)).transpose()
}

pub(super) async fn set_built(connection: &mut Connection, revision: Revision) -> Result<(), sqlx::Error> {
    set(connection, BUILT, &revision.as_u64().to_string()).await
}

/// What every provider's gateways were last given.
pub(super) async fn heads(connection: &mut Connection) -> Result<Vec<Head>, sqlx::Error> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT provider, version, \
         coalesce((SELECT max(version) FROM snapshot_delta WHERE provider = snapshot.provider), version) \
         FROM snapshot ORDER BY provider",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(provider, base, last)| {
            Ok(Head {
                provider: decoded(ProviderId::parse(&provider))?,
                base: base.cast_unsigned(),
                last: last.cast_unsigned(),
            })
        })
        .collect()
}

/// Version of the provider's last piece; `None` when there is none.
pub(super) async fn last_version(
    connection: &mut Connection,
    provider: &ProviderId,
) -> Result<Option<u64>, sqlx::Error> {
    let version: Option<i64> = sqlx::query_scalar(
        "SELECT coalesce((SELECT max(version) FROM snapshot_delta WHERE provider = $1), version) \
         FROM snapshot WHERE provider = $1",
    )
    .bind(provider.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(version.map(i64::cast_unsigned))
}

/// The provider's base with its deltas.
pub(super) async fn find(connection: &mut Connection, provider: &ProviderId) -> Result<Stored, sqlx::Error> {
    let (version, base): (i64, Vec<u8>) = sqlx::query_as("SELECT version, body FROM snapshot WHERE provider = $1")
        .bind(provider.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let deltas = deltas_after(connection, provider, 0).await?;
    let last = deltas.last().map_or(version.cast_unsigned(), |(version, _)| *version);
    Ok(Stored { provider: provider.clone(), last, base, deltas })
}

/// The deltas after a version, in order.
pub(super) async fn deltas_after(
    connection: &mut Connection,
    provider: &ProviderId,
    version: u64,
) -> Result<Vec<(u64, Vec<u8>)>, sqlx::Error> {
    let deltas: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT version, body FROM snapshot_delta WHERE provider = $1 AND version > $2 ORDER BY version",
    )
    .bind(provider.as_str())
    .bind(version.cast_signed())
    .fetch_all(connection)
    .await?;
    Ok(deltas.into_iter().map(|(version, body)| (version.cast_unsigned(), body)).collect())
}

/// The versions that the next ones must exceed because gateways were seen to have them.
pub(super) async fn floors(connection: &mut Connection) -> Result<Vec<(ProviderId, u64)>, sqlx::Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT provider, version FROM snapshot_floor").fetch_all(connection).await?;
    rows.into_iter()
        .map(|(provider, version)| Ok((decoded(ProviderId::parse(&provider))?, version.cast_unsigned())))
        .collect()
}

pub(super) async fn raise_floor(
    connection: &mut Connection,
    provider: &ProviderId,
    version: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO snapshot_floor (provider, version) VALUES ($1, $2) \
         ON CONFLICT (provider) DO UPDATE SET version = excluded.version \
         WHERE snapshot_floor.version < excluded.version",
    )
    .bind(provider.as_str())
    .bind(version.cast_signed())
    .execute(connection)
    .await?;
    Ok(())
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
