//! The database as PostgreSQL 15 or later, for several control planes at once.
//!
//! Every change first takes one lock: revisions are then in the order of the commits, so whoever asks for what came after
//! a revision misses nothing, and what a change has read stays true until it commits. Reads are of one instant and take
//! no lock. A commit notifies; whoever hears it looks at the revision, which is the truth, and everybody looks every
//! second anyway.

#[cfg(test)]
mod encryption;
mod migrations;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::sync::{Notify, watch};
use url::Url;

pub(crate) use self::migrations::migrations;
use super::{ACQUIRE_TIMEOUT, READERS_MAX, Revision, revision};

pub(super) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
pub(super) const BEGIN_CHANGE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// Held by the one change that is under way. The numbers of both locks are arbitrary.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(5788330014982914049)";
pub(super) const NOTIFY: &str = "NOTIFY portvakt";
/// Held by the session of the control plane that publishes.
const TRY_TO_LEAD: &str = "SELECT pg_try_advisory_lock(5788330014982914050)";

/// What a connection that reads is told: no statement outlives twice the time that an operation has.
const READER: &str = "SET statement_timeout = '60s'";
/// What a connection that writes is told: the same, a control plane that hangs or is cut off holds the others up for seconds only,
/// and what is acknowledged is on the disk, whatever the server's default is.
const WRITER: &str = "SET statement_timeout = '60s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s'; \
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 5; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";
/// … and the one that leads, which asks every second: a silent one has ended.
const LEADER: &str = "SET idle_session_timeout = '30s'; \
    SET tcp_keepalives_idle = 1; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3";
/// The releases that the tests have run on; of a later one nobody knows which words it reserves.
const RELEASES: std::ops::RangeInclusive<i32> = 15..=18;

const LOOK: Duration = Duration::from_secs(1);
const RECONNECT: Duration = Duration::from_secs(1);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for an answer about the lead.
const LEAD_TIME_MAX: Duration = Duration::from_secs(2);

/// The writer and the readers of the database, whose tables are brought up to date.
pub(super) async fn open(url: &Url) -> anyhow::Result<(AnyPool, AnyPool)> {
    let options = AnyConnectOptions::from_url(url)?;
    let mut connection = AnyConnection::connect_with(&options).await.context("cannot reach the database")?;
    let version: i32 = sqlx::query_scalar("SELECT CAST(current_setting('server_version_num') AS INTEGER)")
        .fetch_one(&mut connection)
        .await?;
    let release = version / 10_000;
    let (first, last) = (RELEASES.start(), RELEASES.end());
    ensure!(RELEASES.contains(&release), "the database must be PostgreSQL {first} to {last}, not {release}");
    migrations().run(&mut connection).await.context("cannot bring the database's tables up to date")?;
    connection.close().await?;
    let writer = AnyPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute(WRITER).await?;
            Ok(())
        })
    });
    let writer = writer.acquire_timeout(ACQUIRE_TIMEOUT).connect_with(options.clone()).await?;
    let readers = AnyPoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(READER).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok((writer, readers))
}

/// Whether no change was ever committed there.
pub(super) async fn is_empty(url: &Url) -> anyhow::Result<bool> {
    let mut connection = AnyConnection::connect_with(&AnyConnectOptions::from_url(url)?).await?;
    let known = "SELECT CASE WHEN to_regclass('change_log') IS NULL THEN 0 ELSE 1 END";
    let known: i32 = sqlx::query_scalar(known).fetch_one(&mut connection).await?;
    Ok(known == 0 || revision(&mut connection).await?.as_u64() == 0)
}

/// The revision that the database knows, whatever its tables are.
pub(super) async fn last_revision(url: &Url) -> anyhow::Result<Revision> {
    let mut connection = AnyConnection::connect_with(&AnyConnectOptions::from_url(url)?).await?;
    Ok(revision(&mut connection).await?)
}

/// Ends what it listens with when it is dropped.
#[derive(Debug)]
pub(super) struct Listening(tokio::task::AbortHandle);

impl Listening {
    pub(super) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.end();
    }
}

/// Follows what is committed, here and elsewhere.
pub(super) fn listen(
    url: &Url,
    readers: AnyPool,
    revisions: watch::Sender<Revision>,
    commits: watch::Sender<u64>,
) -> anyhow::Result<Listening> {
    let options = PgConnectOptions::from_url(url)?;
    let heard = Arc::new(Notify::new());
    let task = tokio::spawn(async move {
        tokio::select! {
            never = hear(options, &heard) => match never {},
            never = look(readers, &heard, revisions, commits) => match never {},
        }
    });
    Ok(Listening(task.abort_handle()))
}

/// Hears notifications; connects again for as long as it takes.
async fn hear(options: PgConnectOptions, heard: &Notify) -> Infallible {
    let mut wait = RECONNECT;
    loop {
        let Err(error) = hear_connected(&options, heard, &mut wait).await;
        if wait == RECONNECT {
            tracing::warn!("cannot listen to the database, looking every second only: {error}");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RECONNECT_MAX);
    }
}

async fn hear_connected(
    options: &PgConnectOptions,
    heard: &Notify,
    wait: &mut Duration,
) -> Result<Infallible, sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.acquire_timeout(ACQUIRE_TIMEOUT).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("portvakt").await?;
    *wait = RECONNECT;
    loop {
        // Nothing is heard of what was said while the connection was lost: that, too, is a reason to look.
        listener.try_recv().await?;
        heard.notify_one();
    }
}

/// Looks at the revision when something was heard, and every so often.
async fn look(
    readers: AnyPool,
    heard: &Notify,
    revisions: watch::Sender<Revision>,
    commits: watch::Sender<u64>,
) -> Infallible {
    loop {
        let was_heard = tokio::time::timeout(LOOK, heard.notified()).await.is_ok();
        // When the database cannot be read, whoever needs it says so.
        if let Ok(mut connection) = readers.acquire().await
            && let Ok(seen) = revision(&mut connection).await
        {
            super::raise(&revisions, seen);
        }
        if was_heard {
            commits.send_modify(|count| *count += 1);
        }
    }
}

/// The lead among the control planes on one database: the session that has the lock.
///
/// It saves work and gives no right: that a publication follows the last one is checked when it is stored.
pub(super) struct Lead {
    options: PgConnectOptions,
    session: Option<PgConnection>,
    is_held: bool,
}

impl Lead {
    pub(super) fn new(url: &Url) -> anyhow::Result<Self> {
        Ok(Self { options: PgConnectOptions::from_url(url)?, session: None, is_held: false })
    }

    /// Whether this process has the lead; takes it if nobody has.
    pub(super) async fn is_held(&mut self) -> bool {
        let had = self.is_held;
        let answer = tokio::time::timeout(LEAD_TIME_MAX, self.ask()).await;
        self.is_held = matches!(answer, Ok(Ok(true)));
        if !matches!(answer, Ok(Ok(_))) {
            // Dropping the connection gives the lock back, if it was had.
            self.session = None;
        }
        match (had, self.is_held) {
            (false, true) => tracing::info!("this control plane publishes"),
            (true, false) => tracing::warn!("this control plane publishes no longer: it lost its session"),
            _ => {}
        }
        self.is_held
    }

    async fn ask(&mut self) -> Result<bool, sqlx::Error> {
        match &mut self.session {
            Some(session) if self.is_held => session.ping().await.map(|()| true),
            Some(session) => sqlx::query_scalar(TRY_TO_LEAD).fetch_one(session).await,
            None => {
                let mut session = PgConnection::connect_with(&self.options).await?;
                session.execute(LEADER).await?;
                let is_held = sqlx::query_scalar(TRY_TO_LEAD).fetch_one(&mut session).await?;
                self.session = Some(session);
                Ok(is_held)
            }
        }
    }

    /// Gives the lead back and says so.
    pub(super) async fn give_back(&mut self) {
        if let Some(mut session) = self.session.take() {
            let given_back = tokio::time::timeout(LEAD_TIME_MAX, async {
                session.execute("SELECT pg_advisory_unlock_all(); NOTIFY portvakt").await?;
                session.close().await
            });
            // What fails here ends with the connection.
            let _given_back = given_back.await;
        }
        self.is_held = false;
    }
}
