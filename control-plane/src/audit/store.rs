//! Reading the change log. Only [`crate::store::Change::commit`] writes it.

use policies::Timestamp;
use policies::id::OrganizationNumber;
use serde_json::Value;

use super::model::{AuditEntry, basis};
use crate::store::{Connection, decoded};

/// Each arm ends where the page does, so that a page costs no more in a long history; an event does not know the kind of
/// its change, so that a kind that is asked for can only be looked for in all.
const OF_PARTY: &str = "WITH page AS (SELECT CASE WHEN $2 = '' THEN $4 ELSE 9223372036854775807 END AS size), \
     concerned AS ( \
     SELECT revision FROM (SELECT revision FROM change_log WHERE party = $3 AND revision < $1 \
       ORDER BY revision DESC LIMIT (SELECT size FROM page)) AS of_change \
     UNION SELECT revision FROM (SELECT DISTINCT revision FROM event WHERE party = $3 AND revision < $1 \
       ORDER BY revision DESC LIMIT (SELECT size FROM page)) AS of_event \
     UNION SELECT revision FROM (SELECT DISTINCT revision FROM event WHERE client = $3 AND revision < $1 \
       ORDER BY revision DESC LIMIT (SELECT size FROM page)) AS of_client) \
     SELECT revision, at, kind, body FROM change_log \
     WHERE ($2 = '' OR kind = $2) AND revision IN (SELECT revision FROM concerned) ORDER BY revision DESC LIMIT $4";

/// Changes before a revision, the newest first; of one organisation, or all.
pub(super) async fn before(
    connection: &mut Connection,
    revision: i64,
    kind: &str,
    party: Option<OrganizationNumber>,
    count: i64,
) -> Result<Vec<AuditEntry>, sqlx::Error> {
    let rows: Vec<(i64, i64, String, String)> = match party {
        None => {
            sqlx::query_as(
                "SELECT revision, at, kind, body FROM change_log \
                 WHERE revision < $1 AND ($2 = '' OR kind = $2) ORDER BY revision DESC LIMIT $3",
            )
            .bind(revision)
            .bind(kind)
            .bind(count)
            .fetch_all(connection)
            .await?
        }
        Some(party) => {
            sqlx::query_as(OF_PARTY)
                .bind(revision)
                .bind(kind)
                .bind(party.to_string())
                .bind(count)
                .fetch_all(connection)
                .await?
        }
    };
    let entry = |(revision, at, kind, body): (i64, i64, String, String)| {
        let change: Value = decoded(serde_json::from_str(&body))?;
        Ok(AuditEntry { revision, at: Timestamp::from_unix_millis(at), basis: basis(&kind), kind, change })
    };
    rows.into_iter().map(entry).collect()
}
