//! The table of events. Triggers write it.

use policies::Timestamp;
use policies::id::OrganizationNumber;

use super::model::{Event, EventData};
use crate::store::Connection;

#[derive(sqlx::FromRow)]
struct EventRow {
    id: i64,
    at: i64,
    revision: i64,
    kind: String,
    system: String,
    object: String,
    party: String,
    client: Option<String>,
}

/// The vendor's events after one, in order.
pub(crate) async fn after(
    connection: &mut Connection,
    vendor: OrganizationNumber,
    after: i64,
    count: i64,
) -> Result<Vec<Event>, sqlx::Error> {
    // A revision that was not given out is one whose change failed; the next says when.
    let rows: Vec<EventRow> = sqlx::query_as(
        "SELECT id, revision, kind, system, object, party, client, \
         coalesce((SELECT at FROM change_log WHERE change_log.revision >= event.revision ORDER BY revision LIMIT 1), 0) AS at \
         FROM event WHERE vendor = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(vendor.to_string())
    .bind(after)
    .bind(count)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(event).collect())
}

/// The newest event's id; 0 before the first.
pub(crate) async fn newest(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM event").fetch_one(connection).await
}

fn event(row: EventRow) -> Event {
    let is_of_request = row.kind.starts_with("system_user_request.") || row.kind.starts_with("change_request.");
    let (request_id, system_user_id) = if is_of_request { (Some(row.object), None) } else { (None, Some(row.object)) };
    Event {
        id: row.id,
        kind: row.kind,
        timestamp: Timestamp::from_unix_millis(row.at),
        data: EventData {
            system_id: row.system,
            request_id,
            system_user_id,
            party_org_no: row.party,
            client_org_no: row.client,
            revision: row.revision,
        },
    }
}
