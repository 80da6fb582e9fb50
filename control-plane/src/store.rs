//! The database: one SQLite file, or PostgreSQL for several control planes; one writer at a time, many readers.
//!
//! Every operation is one transaction: [`Store::change`] … [`Change::commit`], which appends to the change log and so
//! makes the next [`Revision`]. The slices' own `store.rs` hold the SQL, the same for both; no slice reads another slice's
//! tables. What differs is in [`sqlite`] and [`postgres`]; copies are
//! made by [`backup`] and [`copying`].

pub(crate) mod backup;
pub(crate) mod copying;
mod postgres;
mod sqlite;

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use policies::Timestamp;
use serde_json::Value;
use sqlx::{Any, AnyConnection, AnyPool, Executor as _};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Database;
#[cfg(test)]
pub(crate) use postgres::migrations as postgres_migrations;

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
    database: Arc<Database>,
    revision: watch::Sender<Revision>,
    work: Arc<Mutex<Work>>,
    /// How many commits were heard of.
    commits: watch::Sender<u64>,
    listening: Option<Arc<postgres::Listening>>,
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
    /// Opens the database and brings its tables up to date. A file is made if missing.
    pub(crate) async fn open(database: &Database) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let opened = match database {
            Database::File(file) => sqlite::open(file).await,
            Database::Postgres(url) => postgres::open(url).await,
        };
        let (writer, readers) = opened.with_context(|| format!("cannot use the database `{database}`"))?;
        let (revision, commits) = (watch::Sender::new(Revision(0)), watch::Sender::new(0));
        let listening = match database {
            Database::File(_) => None,
            Database::Postgres(url) => {
                Some(Arc::new(postgres::listen(url, readers.clone(), revision.clone(), commits.clone())?))
            }
        };
        let database = Arc::new(database.clone());
        let work = Arc::default();
        let store = Self { writer, readers, database, revision, work, commits, listening };
        raise(&store.revision, store.revision().await?);
        Ok(store)
    }

    /// Claims a file for this process until the claim is dropped, `kill -9` included: two processes would publish
    /// different snapshots under one version. A PostgreSQL database is shared.
    pub(crate) fn claim(database: &Database) -> anyhow::Result<Option<File>> {
        match database {
            Database::File(file) => sqlite::claim(file).map(Some),
            Database::Postgres(_) => Ok(None),
        }
    }

    /// Whether other control planes may use the database, too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(*self.database, Database::Postgres(_))
    }

    /// A read of one instant of the whole database.
    pub(crate) async fn read(&self) -> Result<Transaction, sqlx::Error> {
        match *self.database {
            Database::File(_) => self.readers.begin().await,
            Database::Postgres(_) => self.readers.begin_with(postgres::BEGIN_READ).await,
        }
    }

    /// Begins an operation. Without [`Change::commit`] nothing of it remains.
    pub(crate) async fn change(&self) -> Result<Change, sqlx::Error> {
        let asked = Instant::now();
        let transaction = match *self.database {
            Database::File(_) => self.writer.begin_with(sqlite::BEGIN_CHANGE).await?,
            Database::Postgres(_) => {
                let mut transaction = self.writer.begin_with(postgres::BEGIN_CHANGE).await?;
                transaction.execute(postgres::LOCK).await?;
                transaction
            }
        };
        let begun = Instant::now();
        with_work(&self.work, |work| work.waited += begun.duration_since(asked));
        let timer = Timer { work: self.work.clone(), begun };
        Ok(Change { transaction, notifies: self.is_shared(), revision: self.revision.clone(), _timer: timer })
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

    /// Follows what other control planes commit, publications included: a wake-up only. Silent on SQLite.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// The lead among the control planes on this database, which this process may or may not have.
    pub(crate) fn lead(&self) -> anyhow::Result<Lead> {
        Ok(Lead(match &*self.database {
            Database::File(_) => None,
            Database::Postgres(url) => Some(postgres::Lead::new(url)?),
        }))
    }

    /// Waits for what is under way and closes the database.
    pub(crate) async fn close(&self) {
        if let Some(listening) = &self.listening {
            listening.end();
        }
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
    notifies: bool,
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
        let revision = sqlx::query_scalar(
            "INSERT INTO change_log (revision, at, kind, body, party) \
             VALUES ((SELECT coalesce(max(revision), 0) + 1 FROM change_log), $1, $2, $3, $4) RETURNING revision",
        )
        .bind(at.unix_millis())
        .bind(kind)
        .bind(body.to_string())
        .bind(body.get("party").and_then(Value::as_str))
        .fetch_one(&mut *self.transaction)
        .await
        .map(Revision)?;
        let revisions = self.revision.clone();
        self.commit_derived().await?;
        raise(&revisions, revision);
        Ok(revision)
    }

    /// Commits what follows from changes already logged (published snapshots) and is no change itself.
    pub(crate) async fn commit_derived(mut self) -> Result<(), sqlx::Error> {
        if self.notifies {
            self.transaction.execute(postgres::NOTIFY).await?;
        }
        self.transaction.commit().await
    }
}

/// Lets those who follow know of a revision, unless they know a later one.
fn raise(revisions: &watch::Sender<Revision>, revision: Revision) {
    revisions.send_if_modified(|current| {
        let is_newer = *current < revision;
        *current = revision.max(*current);
        is_newer
    });
}

/// The lead among several control planes: who has it publishes, the others show what was published. On SQLite there is
/// one, and it leads.
pub(crate) struct Lead(Option<postgres::Lead>);

impl Lead {
    /// Of a process that takes itself for the only one.
    #[cfg(test)]
    pub(crate) fn of_the_only_one() -> Self {
        Self(None)
    }

    /// Whether this process has the lead; takes it if nobody has.
    pub(crate) async fn is_held(&mut self) -> bool {
        match &mut self.0 {
            Some(lead) => lead.is_held().await,
            None => true,
        }
    }

    /// Lets another control plane have it.
    pub(crate) async fn give_back(&mut self) {
        if let Some(lead) = &mut self.0 {
            lead.give_back().await;
        }
    }
}

/// Whether the database could not be reached, or was too busy: the same may succeed later.
pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => true,
        // SQLite is locked; PostgreSQL ends a wait, a statement that takes too long or a session, shuts down, starts up or has no connections left.
        sqlx::Error::Database(error) => matches!(
            error.code().as_deref(),
            Some("5" | "55P03" | "57014" | "25P03" | "57P01" | "57P02" | "57P03" | "57P05" | "53300")
        ),
        _ => false,
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
    use crate::test_state::TestDatabase;

    #[tokio::test]
    async fn a_change_is_whole_or_absent_and_survives_a_reopening() {
        let database = TestDatabase::new().await;
        let store = Store::open(database.location()).await.unwrap();
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

        let reopened = Store::open(database.location()).await.unwrap();
        assert_eq!(*reopened.revisions().borrow(), Revision(1));
        assert_eq!(reopened.change().await.unwrap().commit(now, "tested", json!({})).await.unwrap(), Revision(2));
    }

    #[tokio::test]
    async fn a_read_is_of_one_instant_and_changes_nothing() {
        let database = TestDatabase::new().await;
        let store = Store::open(database.location()).await.unwrap();
        let now = Timestamp::from_unix_seconds(1);
        let mut read = store.read().await.unwrap();
        assert_eq!(revision(&mut read).await.unwrap(), Revision(0));
        store.change().await.unwrap().commit(now, "tested", json!({})).await.unwrap();
        assert_eq!(revision(&mut read).await.unwrap(), Revision(0));
        let delete = sqlx::query("DELETE FROM setting").execute(&mut *read).await;
        assert!(delete.unwrap_err().to_string().contains("read"));
        drop(read);
        assert_eq!(store.revision().await.unwrap(), Revision(1));
    }

    #[tokio::test]
    async fn no_wait_for_the_database_is_endless() {
        let database = TestDatabase::new().await;
        let store = Store::open(database.location()).await.unwrap();
        let (sql, expected) = if database.is_postgres() {
            ("SELECT current_setting('statement_timeout')", "1min")
        } else {
            ("SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "5000")
        };
        let mut change = store.change().await.unwrap();
        let of_writer: String = sqlx::query_scalar(sql).fetch_one(change.connection()).await.unwrap();
        let of_reader: String = sqlx::query_scalar(sql).fetch_one(&mut *store.read().await.unwrap()).await.unwrap();
        assert_eq!((of_writer.as_str(), of_reader.as_str()), (expected, expected));
    }

    /// Every migration has a file for each database.
    #[test]
    fn migrations_are_the_same_on_both() {
        let names = |folder: &str| {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names("sqlite"), names("postgres"));
    }
}
