//! The table of webhooks.

use policies::Timestamp;
use policies::id::OrganizationNumber;
use uuid::Uuid;

use super::model::Webhook;
use crate::store::{Connection, decoded};

#[derive(sqlx::FromRow)]
struct WebhookRow {
    id: String,
    vendor: String,
    url: String,
    secret: String,
    created_at: i64,
    delivered: i64,
    attempts: i64,
    failing_since: Option<i64>,
    next_attempt_at: i64,
    last_error: Option<String>,
    disabled_at: Option<i64>,
}

/// The vendor's webhooks, the oldest first.
pub(super) async fn of_vendor(
    connection: &mut Connection,
    vendor: OrganizationNumber,
) -> Result<Vec<Webhook>, sqlx::Error> {
    let rows: Vec<WebhookRow> = sqlx::query_as("SELECT * FROM webhook WHERE vendor = $1 ORDER BY created_at, id")
        .bind(vendor.to_string())
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(webhook).collect()
}

/// Webhooks with something to deliver, whose turn it is.
pub(super) async fn due(connection: &mut Connection, now: Timestamp, count: i64) -> Result<Vec<Webhook>, sqlx::Error> {
    let rows: Vec<WebhookRow> = sqlx::query_as(
        "SELECT * FROM webhook WHERE disabled_at IS NULL AND next_attempt_at <= $1 \
         AND EXISTS (SELECT 1 FROM event WHERE event.vendor = webhook.vendor AND event.id > webhook.delivered) \
         ORDER BY next_attempt_at, id LIMIT $2",
    )
    .bind(now.unix_millis())
    .bind(count)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(webhook).collect()
}

pub(super) async fn insert(connection: &mut Connection, webhook: &Webhook) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO webhook (id, vendor, url, secret, created_at, delivered) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(webhook.id.to_string())
        .bind(webhook.vendor.to_string())
        .bind(&webhook.url)
        .bind(&webhook.secret)
        .bind(webhook.created_at.unix_millis())
        .bind(webhook.delivered)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores how far it has come and how it is doing, unless it was deleted meanwhile, or another control plane, to which the
/// turn went because ours took too long, has come further.
pub(super) async fn update(connection: &mut Connection, webhook: &Webhook) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE webhook SET delivered = $1, attempts = $2, failing_since = $3, next_attempt_at = $4, last_error = $5, \
         disabled_at = $6 WHERE id = $7 AND delivered <= $1",
    )
    .bind(webhook.delivered)
    .bind(webhook.attempts)
    .bind(webhook.failing_since.map(Timestamp::unix_millis))
    .bind(webhook.next_attempt_at.unix_millis())
    .bind(&webhook.last_error)
    .bind(webhook.disabled_at.map(Timestamp::unix_millis))
    .bind(webhook.id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts the next turn off, if it is still the webhook's turn, and nothing was sent since it was read.
pub(super) async fn claim(
    connection: &mut Connection,
    webhook: &Webhook,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query(
        "UPDATE webhook SET next_attempt_at = $1 WHERE id = $2 AND next_attempt_at <= $3 AND delivered = $4",
    )
    .bind(until.unix_millis())
    .bind(webhook.id.to_string())
    .bind(now.unix_millis())
    .bind(webhook.delivered)
    .execute(connection)
    .await?;
    Ok(claimed.rows_affected() > 0)
}

/// Deletes the vendor's webhook; `false` when it has no such.
pub(super) async fn delete(
    connection: &mut Connection,
    vendor: OrganizationNumber,
    id: Uuid,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM webhook WHERE vendor = $1 AND id = $2")
        .bind(vendor.to_string())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

fn webhook(row: WebhookRow) -> Result<Webhook, sqlx::Error> {
    Ok(Webhook {
        id: decoded(row.id.parse())?,
        vendor: decoded(OrganizationNumber::parse(&row.vendor))?,
        url: row.url,
        secret: row.secret,
        created_at: Timestamp::from_unix_millis(row.created_at),
        delivered: row.delivered,
        attempts: row.attempts,
        failing_since: row.failing_since.map(Timestamp::from_unix_millis),
        next_attempt_at: Timestamp::from_unix_millis(row.next_attempt_at),
        last_error: row.last_error,
        disabled_at: row.disabled_at.map(Timestamp::from_unix_millis),
    })
}
