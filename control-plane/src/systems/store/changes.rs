//! The table of what was done to systems.

use policies::Timestamp;
use policies::id::{MaskinportenClientId, OrganizationNumber, SystemId};
use serde_json::Value;

use crate::store::{Connection, decoded};
use crate::systems::model::{ChangeKind, SystemChange};

#[derive(sqlx::FromRow)]
struct ChangeRow {
    at: i64,
    organization: String,
    client_id: Option<String>,
    kind: String,
    data: Option<String>,
}

/// The newest changes, at most `count` with no more than `data_bytes` of data, newest first; the newest in any case.
pub(in crate::systems) async fn changes(
    connection: &mut Connection,
    system: &SystemId,
    count: i64,
    data_bytes: i64,
) -> Result<Vec<SystemChange>, sqlx::Error> {
    let rows: Vec<ChangeRow> = sqlx::query_as(
        "SELECT at, organization, client_id, kind, data FROM \
         (SELECT number, at, organization, client_id, kind, data, \
                 CAST(coalesce(sum(length(data)) OVER (ORDER BY number DESC), 0) AS BIGINT) AS data_length, \
                 row_number() OVER (ORDER BY number DESC) AS position \
          FROM system_change WHERE system = $1) AS change \
         WHERE position = 1 OR (position <= $2 AND data_length <= $3) ORDER BY number DESC",
    )
    .bind(system.as_str())
    .bind(count)
    .bind(data_bytes)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(change).collect()
}

/// Adds the next change of this system.
pub(in crate::systems) async fn append_change(
    connection: &mut Connection,
    system: &SystemId,
    change: &SystemChange,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO system_change (system, number, at, organization, client_id, kind, data) \
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6 FROM system_change WHERE system = $1",
    )
    .bind(system.as_str())
    .bind(change.at.unix_millis())
    .bind(change.organization.to_string())
    .bind(change.client_id.as_ref().map(MaskinportenClientId::as_str))
    .bind(change.kind.name())
    .bind((!change.data.is_null()).then(|| change.data.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

fn change(row: ChangeRow) -> Result<SystemChange, sqlx::Error> {
    Ok(SystemChange {
        kind: decoded(ChangeKind::parse(&row.kind))?,
        organization: decoded(OrganizationNumber::parse(&row.organization))?,
        client_id: row.client_id.map(|id| decoded(MaskinportenClientId::parse(&id))).transpose()?,
        at: Timestamp::from_unix_millis(row.at),
        data: row.data.map_or(Ok(Value::Null), |data| decoded(serde_json::from_str(&data)))?,
    })
}
