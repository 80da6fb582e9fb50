//! What waits for a customer's decision and waits too long: the same of requests and of change requests, whose tables have
//! the same columns for it.

use policies::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow};

use crate::store::Connection;

/// Rows that came at an instant or before, wait still and are not marked, oldest first.
pub(crate) async fn timed_out<Row>(
    connection: &mut Connection,
    table: &'static str,
    created_until: Timestamp,
    count: i64,
) -> Result<Vec<Row>, sqlx::Error>
where
    Row: for<'row> FromRow<'row, AnyRow> + Send + Unpin,
{
    let sql = format!(
        "SELECT * FROM {table} WHERE status = 'New' AND timed_out_at IS NULL AND archived_at IS NULL \
         AND created_at <= $1 ORDER BY created_at, id LIMIT $2"
    );
    sqlx::query_as(AssertSqlSafe(sql)).bind(created_until.unix_millis()).bind(count).fetch_all(connection).await
}

/// Marks a row that waits still; false if it does not any more.
pub(crate) async fn mark_timed_out(
    connection: &mut Connection,
    table: &'static str,
    id: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let sql = format!(
        "UPDATE {table} SET timed_out_at = $1 \
         WHERE id = $2 AND status = 'New' AND timed_out_at IS NULL AND archived_at IS NULL"
    );
    let done = sqlx::query(AssertSqlSafe(sql)).bind(now.unix_millis()).bind(id).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}
