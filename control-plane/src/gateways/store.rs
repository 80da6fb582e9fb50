//! The table of gateway credentials. Secrets are 256 random bits, so a plain SHA-256 of them tells nothing.

use policies::Timestamp;
use policies::id::ProviderId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::{Connection, decoded};

/// What a gateway proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) provider: ProviderId,
    pub(crate) name: String,
}

/// A credential as operators see it: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GatewayCredential)]
pub(super) struct ListedCredential {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    name: String,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time", required)]
    revoked_at: Option<Timestamp>,
}

/// The credential with this secret, unless it was revoked.
pub(crate) async fn credential(
    connection: &mut Connection,
    secret_sha256: &str,
) -> Result<Option<Credential>, sqlx::Error> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT provider, name FROM gateway_credential WHERE secret_sha256 = $1 AND revoked_at IS NULL")
            .bind(secret_sha256)
            .fetch_optional(connection)
            .await?;
    row.map(|(provider, name)| Ok(Credential { provider: decoded(ProviderId::parse(&provider))?, name })).transpose()
}

pub(super) async fn insert(
    connection: &mut Connection,
    id: Uuid,
    secret_sha256: &str,
    credential: &Credential,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO gateway_credential (secret_sha256, id, provider, name, created_at) VALUES ($1, $2, $3, $4, $5)",
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

/// The provider's credentials, the oldest first.
pub(super) async fn list(
    connection: &mut Connection,
    provider: &ProviderId,
) -> Result<Vec<ListedCredential>, sqlx::Error> {
    let rows: Vec<(String, String, i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, name, created_at, revoked_at FROM gateway_credential WHERE provider = $1 ORDER BY created_at, id",
    )
    .bind(provider.as_str())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, name, created_at, revoked_at)| {
            Ok(ListedCredential {
                id: decoded(id.parse())?,
                name,
                created_at: Timestamp::from_unix_millis(created_at),
                revoked_at: revoked_at.map(Timestamp::from_unix_millis),
            })
        })
        .collect()
}

/// Ends the credential, if it was not ended before; `false` when the provider has no such credential.
pub(super) async fn revoke(
    connection: &mut Connection,
    provider: &ProviderId,
    id: Uuid,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let revoked = sqlx::query(
        "UPDATE gateway_credential SET revoked_at = coalesce(revoked_at, $1) WHERE provider = $2 AND id = $3",
    )
    .bind(now.unix_millis())
    .bind(provider.as_str())
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(revoked.rows_affected() > 0)
}
