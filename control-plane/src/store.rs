//! The database: one SQLite file, one writer, many readers.
//!
//! Every operation is one transaction: [`Store::change`] … [`Change::commit`], which appends to the change log and so
//! makes the next [`Revision`]. The slices' own `store.rs` hold the SQL; no slice reads another slice's tables.

mod sqlite;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policies::Timestamp;
use serde_json::Value;
use sqlx::{Any, AnyConnection, AnyPool};
use tokio::sync::watch;
use tokio::time::Instant;

/// Longest wait for a connection, which for writers is their queue.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const READERS_MAX: u32 = 8;
/// Longest wait of whoever only asks whether something could be written.
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// What the slices' SQL runs on. Placeholders are `$1`…; the SQL is the common subset of SQLite and PostgreSQL, columns are
/// read as `i64`, `String`, `Vec<u8>` or options of them. There is no boolean: see [`is_true`].
pub(crate) type Connection = AnyConnection;

/// A read of one instant of the database.
pub(crate) type Transaction = sqlx::Transaction<'static, Any>;

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
    // Invariant: at most one connection, so writers queue here instead of failing on the database's lock.
    writer: AnyPool,
    readers: AnyPool,
    begin_change: &'static str,
    revision: watch::Sender<Revision>,
    work: Arc<Mutex<Work>>,
}

/// What the one writer has done since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) changes: u64,
    /// Operations waited for it this long.
    pub(crate) waited: Duration,
    /// It was taken this long.
    pub(crate) busy: Duration,
}

impl Store {
    /// Opens the file, makes it if missing and brings its tables up to date.
    pub(crate) async fn open(file: &Path) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let (writer, readers) = sqlite::open(file).await?;
        let revision = watch::Sender::new(Revision(0));
        let store = Self { writer, readers, begin_change: sqlite::BEGIN_CHANGE, revision, work: Arc::default() };
        let revision = store.revision().await?;
        store.revision.send_replace(revision);
        Ok(store)
    }

    /// Claims the file for this process until the claim is dropped, `kill -9` included. Two processes would publish
    /// different snapshots under one version.
    pub(crate) fn claim(file: &Path) -> anyhow::Result<File> {
        sqlite::claim(file)
    }

    /// A read of one instant of the whole database.
    pub(crate) async fn read(&self) -> Result<Transaction, sqlx::Error> {
        self.readers.begin().await
    }

    /// Begins an operation. Without [`Change::commit`] nothing of it remains.
    pub(crate) async fn change(&self) -> Result<Change, sqlx::Error> {
        let asked = Instant::now();
        let transaction = self.writer.begin_with(self.begin_change).await?;
        let begun = Instant::now();
        with_work(&self.work, |work| work.waited += begun.duration_since(asked));
        let timer = Timer { work: self.work.clone(), begun };
        Ok(Change { transaction, revision: self.revision.clone(), _timer: timer })
    }

    /// Whether something can be written. Nothing is.
    pub(crate) async fn is_writable(&self) -> bool {
        let probe = async {
            let mut change = self.change().await?;
            let statement = "UPDATE setting SET value = value WHERE name = 'snapshot_epoch'";
            sqlx::query(statement).execute(change.connection()).await
        };
        matches!(tokio::time::timeout(PROBE_TIME_MAX, probe).await, Ok(Ok(_)))
    }

    /// What the one writer has done.
    pub(crate) fn work(&self) -> Work {
        with_work(&self.work, |work| *work)
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

/// The revision that a transaction sees.
pub(crate) async fn revision(connection: &mut Connection) -> Result<Revision, sqlx::Error> {
    let revision: Option<i64> =
        sqlx::query_scalar("SELECT max(revision) FROM change_log").fetch_one(connection).await?;
    Ok(Revision(revision.unwrap_or(0)))
}

/// An operation under way: the only way to write.
#[derive(Debug)]
pub(crate) struct Change {
    transaction: Transaction,
    revision: watch::Sender<Revision>,
    _timer: Timer,
}

/// Counts the time until it is dropped.
#[derive(Debug)]
struct Timer {
    work: Arc<Mutex<Work>>,
    begun: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        with_work(&self.work, |work| {
            work.changes += 1;
            work.busy += self.begun.elapsed();
        });
    }
}

fn with_work<T>(work: &Mutex<Work>, change: impl FnOnce(&mut Work) -> T) -> T {
    change(&mut work.lock().unwrap_or_else(PoisonError::into_inner))
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

/// What `CASE WHEN … THEN 1 ELSE 0 END` says.
pub(crate) fn is_true(value: i64) -> bool {
    value != 0
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
}
