//! Everything in a SQLite file into an empty PostgreSQL database: the move to several control planes.
//!
//! Row by row as it is, in one transaction, revisions, epoch and published snapshots included: gateways notice nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyRow};
use sqlx::{
    AnyConnection, Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _,
};

use super::{Connection, Revision, postgres, revision, sqlite};
use crate::config::Database;

/// A table, its columns and their types in PostgreSQL.
struct Table {
    name: String,
    columns: Vec<(String, Kind)>,
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
    // A main unit comes before its sub units.
    let order =
        if columns.contains(&"main_unit") { " ORDER BY CASE WHEN main_unit IS NULL THEN 0 ELSE 1 END" } else { "" };
    let select = format!("SELECT {names} FROM {}{order}", table.name);
    let mut copied: i64 = 0;
    let rows = from.fetch_all(AssertSqlSafe(select)).await?;
    for row in rows {
        sqlx::query_with(AssertSqlSafe(insert.clone()), arguments(table, &row)?).execute(&mut *into).await?;
        copied += 1;
    }
    let count: i64 =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name))).fetch_one(into).await?;
    ensure!(count == copied, "{copied} rows were copied and {count} are there");
    Ok(())
}

fn arguments(table: &Table, row: &AnyRow) -> anyhow::Result<AnyArguments> {
    let mut arguments = AnyArguments::default();
    for (name, kind) in &table.columns {
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
    .fetch_all(connection)
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
    Ok(tables.into_iter().map(|(name, columns)| Table { name, columns }).collect())
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
