//! The table of gateway credentials. Secrets are 256 random bits, so a plain SHA-256 of them tells nothing.

use policies::Timestamp;
use policies::id::ProviderId;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::store::decoded;

/// What a gateway proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) provider: ProviderId,
    pub(crate) name: String,
}

/// The credential with this secret.
pub(crate) async fn credential(
    connection: &mut SqliteConnection,
    secret_sha256: &str,
) -> Result<Option<Credential>, sqlx::Error> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT provider, name FROM gateway_credential WHERE secret_sha256 = ?")
            .bind(secret_sha256)
            .fetch_optional(connection)
            .await?;
    row.map(|(provider, name)| Ok(Credential { provider: decoded(ProviderId::parse(&provider))?, name })).transpose()
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    id: Uuid,
    secret_sha256: &str,
    credential: &Credential,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO gateway_credential (secret_sha256, id, provider, name, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(secret_sha256)
    .bind(id.to_string())
    .bind(credential.provider.as_str())
    .bind(&credential.name)
    .bind(now.unix_millis())
    .execute(connection)
    .await?;
    Ok(())
}
