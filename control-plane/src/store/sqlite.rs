//! The database as one SQLite file: made for its owner only, every commit on the disk before it is acknowledged.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Executor as _};
use url::Url;

use super::{ACQUIRE_TIMEOUT, READERS_MAX};

/// Takes the write lock at once: a read that turns into a write could not wait for it.
pub(super) const BEGIN_CHANGE: &str = "BEGIN IMMEDIATE";

/// What a connection that writes is told; durations are in milliseconds.
const WRITER: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
const READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON";

/// The writer and the readers of the file, which is made if missing and whose tables are brought up to date.
pub(super) async fn open(file: &Path) -> anyhow::Result<(AnyPool, AnyPool)> {
    create_private(file).with_context(|| format!("cannot make the database `{}`", file.display()))?;
    let writer = pool(WRITER)
        .max_connections(1)
        .connect_with(options(file, "rw")?)
        .await
        .with_context(|| format!("cannot open the database `{}`", file.display()))?;
    sqlx::migrate!("migrations/sqlite").run(&writer).await.context("cannot bring the database's tables up to date")?;
    let readers = pool(READER)
        .max_connections(READERS_MAX)
        .connect_with(options(file, "ro")?)
        .await
        .with_context(|| format!("cannot read the database `{}`", file.display()))?;
    Ok((writer, readers))
}

/// Claims the file for this process until the claim is dropped.
pub(super) fn claim(file: &Path) -> anyhow::Result<File> {
    let lock_file = file.with_extension("lock");
    let lock = File::create(&lock_file).with_context(|| format!("cannot write `{}`", lock_file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!("another control plane uses the database `{}`", file.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock `{}`", lock_file.display())),
    }
}

fn pool(told: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).after_connect(move |connection, _| {
        Box::pin(async move {
            connection.execute(told).await?;
            Ok(())
        })
    })
}

pub(super) fn options(file: &Path, mode: &str) -> anyhow::Result<AnyConnectOptions> {
    let absolute = std::path::absolute(file)?;
    let Ok(url) = Url::from_file_path(&absolute) else { bail!("`{}` is no path of a file", file.display()) };
    Ok(format!("sqlite://{}?mode={mode}", url.path()).parse()?)
}

/// Makes the file, if there is none, readable for its owner only, whatever the umask: whoever reads it knows who may act
/// for whom. SQLite gives `-wal` and `-shm` the same mode.
pub(super) fn create_private(file: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use policies::Timestamp;
    use serde_json::json;

    use crate::store::{Change, Store};

    #[tokio::test]
    async fn nobody_else_reads_the_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db").into()).await.unwrap();
        store.change().await.unwrap().commit(Timestamp::from_unix_seconds(1), "tested", json!({})).await.unwrap();
        for name in ["test.db", "test.db-wal", "test.db-shm"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn the_file_is_durable_and_strict() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db").into()).await.unwrap();
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
