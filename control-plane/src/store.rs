//! The database: one SQLite file, one writer, many readers.
//!
//! Every operation is one transaction: [`Store::change`] … [`Change::commit`], which appends to the change log and so
//! makes the next [`Revision`]. The slices' own `store.rs` hold the SQL; no slice reads another slice's tables.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use policies::Timestamp;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio::sync::watch;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const READERS_MAX: u32 = 8;

/// What the slices' SQL runs on. Placeholders are `$1`…; the SQL is the common subset of SQLite and PostgreSQL.
pub(crate) type Connection = SqliteConnection;

/// Number of the last committed change; grows by one with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Revision(i64);

impl Revision {
    /// The form that manifests carry.
    pub(crate) fn as_u64(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// The revision that a manifest carries.
    pub(crate) fn from_u64(revision: u64) -> Self {
        Self(i64::try_from(revision).unwrap_or(i64::MAX))
    }

    /// The form that the database has.
    pub(crate) fn as_i64(self) -> i64 {
        self.0
    }
}

/// Handle to the database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    // Invariant: at most one connection, so writers queue here instead of failing on SQLite's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    revision: watch::Sender<Revision>,
}

impl Store {
    /// Opens the file, makes it if missing and brings its tables up to date.
    pub(crate) async fn open(file: &Path) -> anyhow::Result<Self> {
        create_private(file).with_context(|| format!("cannot make the database `{}`", file.display()))?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await
            .with_context(|| format!("cannot open the database `{}`", file.display()))?;
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .context("cannot bring the database's tables up to date")?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.read_only(true))
            .await
            .with_context(|| format!("cannot read the database `{}`", file.display()))?;
        let store = Self { writer, readers, revision: watch::Sender::new(Revision(0)) };
        let revision = store.revision().await?;
        store.revision.send_replace(revision);
        Ok(store)
    }

    /// Claims the file for this process until the claim is dropped, `kill -9` included. Two processes would publish
    /// different snapshots under one version.
    pub(crate) fn claim(file: &Path) -> anyhow::Result<File> {
        let lock_file = file.with_extension("lock");
        let lock = File::create(&lock_file).with_context(|| format!("cannot write `{}`", lock_file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => bail!("another control plane uses the database `{}`", file.display()),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock `{}`", lock_file.display()))
            }
        }
    }

    /// A read of one instant of the whole database.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.readers.begin().await
    }

    /// Begins an operation. Without [`Change::commit`] nothing of it remains.
    pub(crate) async fn change(&self) -> Result<Change, sqlx::Error> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Change { transaction, revision: self.revision.clone() })
    }

    /// The revision as the database knows it.
    pub(crate) async fn revision(&self) -> Result<Revision, sqlx::Error> {
        let mut connection = self.readers.acquire().await?;
        revision(&mut connection).await
    }

    /// Follows the revision: a wake-up only, [`Store::revision`] is the truth.
    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Waits for what is under way and closes the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file, if there is none, readable for its owner only, whatever the umask: whoever reads it knows who may act
/// for whom. SQLite gives `-wal` and `-shm` the same mode.
fn create_private(file: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The revision that a transaction sees.
pub(crate) async fn revision(connection: &mut Connection) -> Result<Revision, sqlx::Error> {
    let revision: Option<i64> =
        sqlx::query_scalar("SELECT max(revision) FROM change_log").fetch_one(connection).await?;
    Ok(Revision(revision.unwrap_or(0)))
}

/// An operation under way: the only way to write.
#[derive(Debug)]
pub(crate) struct Change {
    transaction: Transaction<'static, Sqlite>,
    revision: watch::Sender<Revision>,
}

impl Change {
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.transaction
    }

    /// Appends to the change log, commits and wakes those who follow the revision. When this returns the change is on disk.
    pub(crate) async fn commit(
        mut self,
        at: Timestamp,
        kind: &'static str,
        body: Value,
    ) -> Result<Revision, sqlx::Error> {
        let revision =
            sqlx::query_scalar("INSERT INTO change_log (at, kind, body) VALUES ($1, $2, $3) RETURNING revision")
                .bind(at.unix_millis())
                .bind(kind)
                .bind(body.to_string())
                .fetch_one(&mut *self.transaction)
                .await
                .map(Revision)?;
        self.transaction.commit().await?;
        self.revision.send_if_modified(|current| {
            let is_newer = *current < revision;
            *current = revision.max(*current);
            is_newer
        });
        Ok(revision)
    }

    /// Commits what follows from changes already logged (published snapshots) and is no change itself.
    pub(crate) async fn commit_derived(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

/// A stored text that should have been checked when it was written.
pub(crate) fn decoded<T, E>(result: Result<T, E>) -> Result<T, sqlx::Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    result.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_change_is_whole_or_absent_and_survives_a_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db");
        let store = Store::open(&file).await.unwrap();
        let now = Timestamp::from_unix_seconds(1);
        let insert = "INSERT INTO setting (name, value) VALUES ('a', 'b')";

        let mut dropped = store.change().await.unwrap();
        sqlx::query(insert).execute(dropped.connection()).await.unwrap();
        drop(dropped);
        assert_eq!(store.revision().await.unwrap(), Revision(0));

        let mut change = store.change().await.unwrap();
        sqlx::query(insert).execute(change.connection()).await.unwrap();
        assert_eq!(change.commit(now, "tested", json!({})).await.unwrap(), Revision(1));
        assert_eq!(*store.revisions().borrow(), Revision(1));
        store.close().await;

        let reopened = Store::open(&file).await.unwrap();
        assert_eq!(*reopened.revisions().borrow(), Revision(1));
        assert_eq!(reopened.change().await.unwrap().commit(now, "tested", json!({})).await.unwrap(), Revision(2));
    }

    #[tokio::test]
    async fn nobody_else_reads_the_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db")).await.unwrap();
        store.change().await.unwrap().commit(Timestamp::from_unix_seconds(1), "tested", json!({})).await.unwrap();
        for name in ["test.db", "test.db-wal", "test.db-shm"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn the_file_is_durable_and_strict() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db")).await.unwrap();
        let mut change = store.change().await.unwrap();
        let pragma = async |change: &mut Change, name: &'static str| -> String {
            let sql = sqlx::AssertSqlSafe(format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"));
            sqlx::query_scalar(sql).fetch_one(change.connection()).await.unwrap()
        };
        assert_eq!(pragma(&mut change, "journal_mode").await, "wal");
        assert_eq!(pragma(&mut change, "synchronous").await, "2");
        assert_eq!(pragma(&mut change, "foreign_keys").await, "1");
        let loose: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'")
                .fetch_one(change.connection())
                .await
                .unwrap();
        assert_eq!(loose, 0);
    }
}
