//! The table of issuers' keys.

use policies::Timestamp;
use serde_json::{Value, json};

use crate::store::{Connection, decoded};

/// The issuer's last good keys as JWKs, in order of their ids; none when none were ever fetched.
pub(crate) async fn keys(connection: &mut Connection, issuer: &str) -> Result<Vec<Value>, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT keys FROM issuer_key_set WHERE issuer = $1")
        .bind(issuer)
        .fetch_optional(connection)
        .await?;
    text.map_or(Ok(Vec::new()), |text| decoded(serde_json::from_str(&text)))
}

pub(super) async fn replace_keys(
    connection: &mut Connection,
    issuer: &str,
    keys: &[Value],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO issuer_key_set (issuer, keys, fetched_at) VALUES ($1, $2, $3) \
         ON CONFLICT (issuer) DO UPDATE SET keys = excluded.keys, fetched_at = excluded.fetched_at",
    )
    .bind(issuer)
    .bind(json!(keys).to_string())
    .bind(now.unix_millis())
    .execute(connection)
    .await?;
    Ok(())
}
