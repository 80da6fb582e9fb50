//! The table of what gateways told. It forgets the oldest.

use policies::Timestamp;
use policies::id::ProviderId;

use super::model::{Decision, GatewayDecision};
use crate::store::{Connection, decoded};

/// Decisions kept for one provider.
const DECISIONS_KEPT_MAX: i64 = 100_000;
/// How long a decision is kept, in seconds.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// Adds decisions, and forgets what is too old or too many.
pub(super) async fn add(
    connection: &mut Connection,
    provider: &ProviderId,
    gateway: &str,
    decisions: &[Decision],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM gateway_decision WHERE provider = $1")
        .bind(provider.as_str())
        .fetch_one(&mut *connection)
        .await?;
    for (number, decision) in (last + 1..).zip(decisions) {
        sqlx::query("INSERT INTO gateway_decision (provider, number, gateway, at, body) VALUES ($1, $2, $3, $4, $5)")
            .bind(provider.as_str())
            .bind(number)
            .bind(gateway)
            .bind(now.unix_millis())
            .bind(decoded(serde_json::to_string(decision))?)
            .execute(&mut *connection)
            .await?;
    }
    let added = i64::try_from(decisions.len()).unwrap_or(i64::MAX);
    sqlx::query("DELETE FROM gateway_decision WHERE provider = $1 AND (number <= $2 OR at < $3)")
        .bind(provider.as_str())
        .bind(last + added - DECISIONS_KEPT_MAX)
        .bind(now.plus_seconds(-KEPT_SECONDS).unix_millis())
        .execute(connection)
        .await?;
    Ok(())
}

/// Decisions before a number, the newest first.
pub(super) async fn before(
    connection: &mut Connection,
    provider: &ProviderId,
    number: i64,
    count: i64,
) -> Result<Vec<GatewayDecision>, sqlx::Error> {
    let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(
        "SELECT number, gateway, at, body FROM gateway_decision WHERE provider = $1 AND number < $2 \
         ORDER BY number DESC LIMIT $3",
    )
    .bind(provider.as_str())
    .bind(number)
    .bind(count)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(number, gateway, at, body)| {
            let decision = decoded(serde_json::from_str(&body))?;
            Ok(GatewayDecision { number, gateway, at: Timestamp::from_unix_millis(at), decision })
        })
        .collect()
}
