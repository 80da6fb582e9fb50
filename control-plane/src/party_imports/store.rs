//! How far each stream of events has been taken, among the database's settings.

use crate::store::{Connection, decoded};

/// The last event's sequence number; 0 before the first.
pub(super) async fn position(connection: &mut Connection, stream: &str) -> Result<i64, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM setting WHERE name = $1")
        .bind(name(stream))
        .fetch_optional(connection)
        .await?;
    text.map_or(Ok(0), |text| decoded(text.parse()))
}

pub(super) async fn set_position(connection: &mut Connection, stream: &str, position: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name(stream))
    .bind(position.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

fn name(stream: &str) -> String {
    format!("party_events/{stream}")
}
