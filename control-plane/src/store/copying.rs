//! Everything in a SQLite file into an empty PostgreSQL database: the move to several control planes.
//!
//! Row by row as it is, page by page, in one transaction, revisions, epoch and published snapshots included: gateways notice nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyRow};
use sqlx::{
    AnyConnection, Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _,
};

use super::{Connection, Revision, postgres, revision, sqlite};
use crate::config::Database;

/// Rows that are in memory at once; few in tests, so that one page follows another there.
const PAGE_ROWS: usize = if cfg!(test) { 2 } else { 1000 };

/// A table, its columns and their types in PostgreSQL, and those of its primary key.
struct Table {
    name: String,
    columns: Vec<(String, Kind)>,
    key: Vec<(String, Kind)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Integer,
    Text,
    Blob,
}

/// Copies; gives the last revision. No control plane may be using the file.
pub(crate) async fn copy(file: &Path, to: &Database) -> anyhow::Result<Revision> {
    sqlx::any::install_default_drivers();
    let Database::Postgres(url) = to else { bail!("`database` is no PostgreSQL URL") };
    ensure!(file.try_exists()?, "there is no database `{}`", file.display());
    let _claim = sqlite::claim(file)?;
    // Brings the tables of both up to date.
    let (writer, readers) = sqlite::open(file).await?;
    ensure!(postgres::is_empty(url).await?, "there is something in `{to}`: name an empty one");
    let (unused_writer, unused_readers) = postgres::open(url).await?;
    unused_writer.close().await;
    unused_readers.close().await;

    let mut from = readers.begin().await?;
    let mut connection = AnyConnection::connect_with(&AnyConnectOptions::from_url(url)?).await?;
    let mut into = connection.begin().await?;
    let tables = tables(&mut into).await?;
    for table in &tables {
        // What triggers would add is copied, too.
        let sql = format!("ALTER TABLE {} DISABLE TRIGGER USER", table.name);
        into.execute(AssertSqlSafe(sql)).await?;
    }
    for table in in_order(tables, &parents(&mut into).await?)? {
        copy_table(&table, &mut from, &mut into).await.with_context(|| format!("table `{}`", table.name))?;
        into.execute(AssertSqlSafe(format!("ALTER TABLE {} ENABLE TRIGGER USER", table.name))).await?;
    }
    let last = revision(&mut from).await?;
    into.commit().await?;
    connection.close().await?;
    drop(from);
    readers.close().await;
    writer.close().await;
    Ok(last)
}

async fn copy_table(table: &Table, from: &mut Connection, into: &mut Connection) -> anyhow::Result<()> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let numbers: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let names = columns.join(", ");
    let insert = format!("INSERT INTO {} ({names}) VALUES ({})", table.name, numbers.join(", "));
    let key: Vec<&str> = table.key.iter().map(|(name, _)| name.as_str()).collect();
    let (key, placeholders) =
        (key.join(", "), numbers.get(..key.len()).context("a key has more columns than its table")?);
    // A main unit comes before its sub units.
    let parts: &[&str] =
        if columns.contains(&"main_unit") { &["main_unit IS NULL", "main_unit IS NOT NULL"] } else { &["TRUE"] };
    // Bodies of snapshots are large.
    let rows = if table.columns.iter().any(|(_, kind)| matches!(kind, Kind::Blob)) { 1 } else { PAGE_ROWS };
    let mut copied: i64 = 0;
    for part in parts {
        let select = format!("SELECT {names} FROM {} WHERE {part}", table.name);
        let rest = format!("ORDER BY {key} LIMIT {rows}");
        let mut page = from.fetch_all(AssertSqlSafe(format!("{select} {rest}"))).await?;
        // Ends: every page begins after the last row of the one before.
        while let Some(last) = page.last() {
            let after = arguments(&table.key, last)?;
            for row in &page {
                let row = arguments(&table.columns, row)?;
                sqlx::query_with(AssertSqlSafe(insert.clone()), row).execute(&mut *into).await?;
                copied += 1;
            }
            let next = format!("{select} AND ({key}) > ({}) {rest}", placeholders.join(", "));
            page = sqlx::query_with(AssertSqlSafe(next), after).fetch_all(&mut *from).await?;
        }
    }
    let count: i64 =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name))).fetch_one(into).await?;
    ensure!(count == copied, "{copied} rows were copied and {count} are there");
    Ok(())
}

/// The values that a row has in these columns.
fn arguments(columns: &[(String, Kind)], row: &AnyRow) -> anyhow::Result<AnyArguments> {
    let mut arguments = AnyArguments::default();
    for (name, kind) in columns {
        let name = name.as_str();
        let added = match kind {
            Kind::Integer => arguments.add(row.try_get::<Option<i64>, _>(name)?),
            Kind::Text => arguments.add(row.try_get::<Option<String>, _>(name)?),
            Kind::Blob => arguments.add(row.try_get::<Option<Vec<u8>>, _>(name)?),
        };
        added.map_err(|error| anyhow::anyhow!("column `{name}`: {error}"))?;
    }
    Ok(arguments)
}

async fn tables(connection: &mut Connection) -> anyhow::Result<Vec<Table>> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT) \
         FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations' \
         ORDER BY table_name, ordinal_position",
    )
    .fetch_all(&mut *connection)
    .await?;
    let keys: Vec<(String, String)> = sqlx::query_as(
        "SELECT CAST(part.table_name AS TEXT), CAST(part.column_name AS TEXT) FROM information_schema.key_column_usage AS part \
         JOIN information_schema.table_constraints AS constraints \
         ON constraints.constraint_schema = part.constraint_schema AND constraints.table_name = part.table_name \
         AND constraints.constraint_name = part.constraint_name AND constraints.constraint_type = 'PRIMARY KEY' \
         WHERE part.table_schema = current_schema() ORDER BY part.table_name, part.ordinal_position",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut tables: BTreeMap<String, Vec<(String, Kind)>> = BTreeMap::new();
    for (table, column, kind) in rows {
        let kind = match kind.as_str() {
            "bigint" => Kind::Integer,
            "text" => Kind::Text,
            "bytea" => Kind::Blob,
            other => bail!("column `{table}.{column}` is of the unknown type `{other}`"),
        };
        tables.entry(table).or_default().push((column, kind));
    }
    let table = |(name, columns): (String, Vec<(String, Kind)>)| {
        let of_table = keys.iter().filter(|(table, _)| *table == name).map(|(_, column)| column);
        let key = of_table.filter_map(|of_key| columns.iter().find(|(column, _)| column == of_key).cloned());
        let key: Vec<_> = key.collect();
        ensure!(!key.is_empty(), "table `{name}` has no primary key");
        Ok(Table { name, columns, key })
    };
    tables.into_iter().map(table).collect()
}

/// Which table refers to which other one.
async fn parents(connection: &mut Connection) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT CAST(conrelid::regclass AS TEXT), CAST(confrelid::regclass AS TEXT) FROM pg_constraint \
         WHERE contype = 'f' AND conrelid <> confrelid AND connamespace = current_schema()::regnamespace",
    )
    .fetch_all(connection)
    .await
}

/// Every table after those it refers to.
fn in_order(tables: Vec<Table>, parents: &[(String, String)]) -> anyhow::Result<Vec<Table>> {
    let (mut ordered, mut rest): (Vec<Table>, Vec<Table>) = (Vec::new(), tables);
    while !rest.is_empty() {
        let names: Vec<String> = rest.iter().map(|table| table.name.clone()).collect();
        let waits =
            |table: &Table| parents.iter().any(|(child, parent)| *child == table.name && names.contains(parent));
        let (waiting, ready): (Vec<Table>, Vec<Table>) = rest.into_iter().partition(waits);
        ensure!(!ready.is_empty(), "tables refer to each other in a circle");
        ordered.extend(ready);
        rest = waiting;
    }
    Ok(ordered)
}
