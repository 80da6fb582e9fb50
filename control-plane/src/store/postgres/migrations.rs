//! The migrations as every supported release takes them.
//!
//! PostgreSQL 16 and later reserve the word `system_user`, which migrations before 0090 have for a table and columns; 0090
//! renames them. A file that was ever run is not changed, so the word is quoted here; the checksums stay the files'.

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

const RESERVED: &str = "system_user";

/// All migrations, in their order.
pub(crate) fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    for migration in migrator.migrations.to_mut() {
        migration.sql = AssertSqlSafe(quoted(migration.sql.as_str())).into_sql_str();
    }
    migrator
}

/// The statements with the reserved word in double quotes where it is a name: not in texts, comments or other words.
fn quoted(sql: &str) -> String {
    let mut whole = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_of_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = match first {
            '\'' | '"' => rest.char_indices().skip(1).find(|(_, end)| *end == first).map(|(end, _)| end + 1),
            '-' if rest.starts_with("--") => rest.find('\n'),
            _ if is_of_word(first) => rest.find(|character| !is_of_word(character)),
            _ => Some(first.len_utf8()),
        };
        let (part, after) = rest.split_at_checked(length.unwrap_or(rest.len())).unwrap_or((rest, ""));
        if part == RESERVED {
            whole.extend(["\"", part, "\""]);
        } else {
            whole.push_str(part);
        }
        rest = after;
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use sqlx::Connection as _;

    use super::*;
    use crate::store::sqlite;

    /// Reserved in PostgreSQL 15 to 18 or in SQL:2023 and SQLite (appendix C of PostgreSQL's manual), as far as a table or
    /// column might be called so.
    const RESERVED_WORDS: &str = "all analyse analyze and any array as asc asymmetric authorization between binary both \
        case cast check collate collation column concurrently constraint create cross current_catalog current_date \
        current_role current_schema current_time current_timestamp current_user default deferrable desc distinct do else \
        end except exists extract false fetch for foreign freeze from full grant group having ilike in initially inner \
        intersect into is isnull join lateral leading left like limit localtime localtimestamp merge_action natural not \
        notnull null offset on only or order outer overlaps placing primary references returning right select \
        session_user similar some symmetric system_user table tablesample then to trailing true union unique user using \
        variadic verbose when where window with";

    #[test]
    fn the_word_is_quoted_where_it_is_a_name() {
        for (plain, expected) in [
            ("CREATE TABLE system_user (id TEXT);", "CREATE TABLE \"system_user\" (id TEXT);"),
            ("NEW.system_user = system_user.id", "NEW.\"system_user\" = \"system_user\".id"),
            ("UPDATE system_user_request", "UPDATE system_user_request"),
            ("SELECT 'system_user.created', 'it''s'", "SELECT 'system_user.created', 'it''s'"),
            ("-- a system_user's\nsystem_user", "-- a system_user's\n\"system_user\""),
            ("\"system_user\" COLLATE \"C\"", "\"system_user\" COLLATE \"C\""),
            ("-- ø system_user", "-- ø system_user"),
            ("'not ended system_user", "'not ended system_user"),
        ] {
            assert_eq!(quoted(plain), expected);
        }
    }

    #[test]
    fn files_keep_their_checksums() {
        let (files, run) = (sqlx::migrate!("migrations/postgres"), migrations());
        assert_eq!(files.migrations.len(), run.migrations.len());
        for (file, run) in files.iter().zip(run.iter()) {
            assert_eq!((file.version, &file.checksum), (run.version, &run.checksum));
        }
    }

    /// Of PostgreSQL, too: its migrations make the same tables.
    #[tokio::test]
    async fn no_table_and_no_column_has_a_reserved_name() {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db");
        let (writer, readers) = sqlite::open(&file).await.unwrap();
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' \
             UNION SELECT columns.name FROM pragma_table_list AS tables, pragma_table_info(tables.name) AS columns",
        )
        .fetch_all(&mut *readers.acquire().await.unwrap())
        .await
        .unwrap();
        let reserved: BTreeSet<&str> = RESERVED_WORDS.split_whitespace().collect();
        let wrong: Vec<_> = names.iter().filter(|name| reserved.contains(name.as_str())).collect();
        assert!(names.len() > 100 && wrong.is_empty(), "{wrong:?} of {}", names.len());
        readers.close().await;
        writer.close().await;
    }

    /// PostgreSQL 16 and later would take the word for who is logged in, and say nothing.
    #[test]
    fn no_statement_has_the_reserved_word() {
        let mut folders: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("postgres/migrations.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let is_wrong =
                        |line: &&str| is_sql(line) && quoted(&line.replace('"', " ")) != line.replace('"', " ");
                    found.extend(text.lines().filter(is_wrong).map(|line| format!("{}: {line}", path.display())));
                }
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }

    fn is_sql(line: &str) -> bool {
        let words = ["SELECT ", "FROM ", "UPDATE ", "INSERT INTO ", "DELETE FROM ", "WHERE ", "JOIN ", "ORDER BY "];
        !line.trim_start().starts_with("//") && words.iter().any(|word| line.contains(word))
    }

    /// What was stored under the old names is there under the new ones.
    #[tokio::test]
    async fn a_database_from_before_the_new_name_keeps_its_data() {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.db");
        sqlite::create_private(&file).unwrap();
        let mut connection = sqlx::AnyConnection::connect_with(&sqlite::options(&file, "rw").unwrap()).await.unwrap();
        let mut before = sqlx::migrate!("migrations/sqlite");
        before.migrations.to_mut().retain(|migration| migration.version < 90);
        before.run(&mut connection).await.unwrap();
        let organization = "INSERT INTO party (uuid, party_id, organization, name) VALUES ('u', 1, '310247049', 'H')";
        let system = "INSERT INTO system (id, internal_id, vendor, name_nb, name_nn, name_en, description_nb, description_nn, \
                      description_en, rights, access_packages, redirect_urls, is_visible, created_at) \
                      VALUES ('s', 's', '310247030', '', '', '', '', '', '', '[]', '[]', '[]', 1, 0)";
        let user = "INSERT INTO system_user (id, kind, system, owner, external_ref, integration_title, created_at) \
                    VALUES ('i', 'standard', 's', '310247049', 'r', 't', 0)";
        for statement in [organization, system, user] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();

        let (writer, readers) = sqlite::open(&file).await.unwrap();
        let mut change = writer.acquire().await.unwrap();
        let withdraw = "UPDATE systemuser SET withdrawn_at = 1";
        sqlx::query(withdraw).execute(&mut *change).await.unwrap();
        drop(change);
        // The triggers know the new names.
        let kinds: Vec<String> = sqlx::query_scalar(
            "SELECT event.kind FROM event JOIN systemuser ON systemuser.id = event.object \
             JOIN system_user_sequence AS place ON place.systemuser = systemuser.id ORDER BY event.id",
        )
        .fetch_all(&mut *readers.acquire().await.unwrap())
        .await
        .unwrap();
        assert_eq!(kinds, ["system_user.created", "system_user.withdrawn"]);
        readers.close().await;
        writer.close().await;
    }
}
