//! A large database: organisations, and system users of one system, each with one right. Written past the API, which would
//! take hours, into a database that the control plane has made; its triggers see to the rest, or do not where PostgreSQL can
//! be told to leave them out, and then what they would write is written here.

use anyhow::{Context as _, Result};
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

/// System users of one organisation.
pub const OF_ORGANIZATION: u32 = 10;
/// The last digit of an organisation number is the sum of the others with these weights, modulo 11.
const WEIGHTS: [u32; 8] = [3, 2, 7, 6, 5, 4, 3, 2];

/// Valid organisation numbers from 400000000 on.
pub fn organizations(count: u32) -> Vec<String> {
    let valid = |number: u32| {
        let digits = number.to_string();
        let sum: u32 = digits.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        match (11 - sum % 11) % 11 {
            10 => None,
            check => Some(format!("{digits}{check}")),
        }
    };
    (40_000_000..u32::MAX).filter_map(valid).take(count as usize).collect()
}

/// Fills a database that nobody uses.
pub async fn fill(url: &str, system: &str, organizations: &[String]) -> Result<()> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.context("cannot open the database")?;
    let is_postgres = url.starts_with("postgres");
    if is_postgres {
        connection.execute("SET session_replication_role = replica").await?;
    } else {
        connection.execute("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -200000").await?;
    }
    let number = if is_postgres { "CAST(value AS BIGINT)" } else { "CAST(value AS INTEGER)" };
    let mut change = connection.begin().await?;
    let parties = format!(
        "INSERT INTO party (uuid, party_id, organization, name) \
         SELECT '00000000-0000-4000-8000-000' || value, {number}, value, 'Organization ' || value FROM json_each($1)"
    );
    let all = json!(organizations).to_string();
    sqlx::query(AssertSqlSafe(parties)).bind(&all).execute(&mut *change).await?;
    for place in 0..OF_ORGANIZATION {
        // What Maskinporten asks for without a reference is the first of each.
        let reference = if place == 0 { "value".to_owned() } else { format!("'ref {place}'") };
        let users = format!(
            "INSERT INTO systemuser (id, kind, system, owner, external_ref, integration_title, created_at) \
             SELECT '0000000{place}-0000-4000-8000-000' || value, 'standard', '{system}', value, {reference}, 'bench', 0 \
             FROM json_each($1)"
        );
        sqlx::query(AssertSqlSafe(users)).bind(&all).execute(&mut *change).await?;
    }
    for statement in [
        "INSERT INTO delegated_right (systemuser, party, position, resource, action) \
         SELECT id, owner, 0, 'vat', NULL FROM systemuser WHERE created_at = 0",
        "INSERT INTO system_user_revision (systemuser, revision) \
         SELECT id, (SELECT max(revision) + 1 FROM change_log) FROM systemuser WHERE created_at = 0 \
         ON CONFLICT (systemuser) DO UPDATE SET revision = excluded.revision",
        "INSERT INTO system_user_sequence (systemuser, number, revision) \
         SELECT id, row_number() OVER (ORDER BY id), 1 FROM systemuser WHERE created_at = 0 ON CONFLICT DO NOTHING",
        "INSERT INTO change_log (revision, at, kind, body) \
         SELECT coalesce(max(revision), 0) + 1, 0, 'filled', '{}' FROM change_log",
    ] {
        sqlx::query(statement).execute(&mut *change).await?;
    }
    change.commit().await?;
    connection.execute("ANALYZE").await?;
    connection.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_valid_and_all_different() {
        let numbers = organizations(1_000);
        let different: std::collections::BTreeSet<_> = numbers.iter().collect();
        assert_eq!(different.len(), 1_000);
        for number in &numbers {
            number.parse::<crate::maskinporten::OrganizationNumber>().unwrap();
        }
    }
}
