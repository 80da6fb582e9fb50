//! A database of a test's own: a SQLite file, or with `TEST_STORE=postgres` a PostgreSQL database on the server that
//! `POSTGRES_URL` names.
//!
//! Dropping a PostgreSQL database takes a second, so one is emptied and used again: it is whose session holds its lock.

use std::path::Path;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use url::Url;

use super::{TestState, story};
use crate::config::Database;

/// Names the server: a URL with the name of a database to connect to.
const SERVER: &str = "POSTGRES_URL";
/// Chooses it.
const STORE: &str = "TEST_STORE";
/// Held while the template is made; an arbitrary number.
const TEMPLATE_LOCK: i64 = 5_788_330_014_982_914_051;

pub(crate) struct TestDatabase {
    location: Database,
    folder: tempfile::TempDir,
    /// … and the session that has claimed the database.
    server: Option<(Server, PgConnection)>,
}

/// What a database held at some instant.
pub(crate) enum DatabaseCopy {
    File(Vec<u8>),
    Postgres(String),
}

impl TestDatabase {
    pub(crate) async fn new() -> Self {
        let Some(server) = Server::named() else { return Self::file() };
        let folder = tempfile::tempdir().unwrap();
        let (name, claim) = server.claim_database().await;
        let location = Database::Postgres(server.url(&name));
        Self { location, folder, server: Some((server, claim)) }
    }

    /// A SQLite file, whatever the environment says.
    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { location: Database::File(folder.path().join("portvakt.db")), folder, server: None }
    }

    pub(crate) fn location(&self) -> &Database {
        &self.location
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    /// Where the database's companions are, for example the signing key.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies the database, which nobody has open.
    pub(crate) async fn copy(&self) -> DatabaseCopy {
        match (&self.location, &self.server) {
            (Database::File(file), _) => DatabaseCopy::File(std::fs::read(file).unwrap()),
            (Database::Postgres(url), Some((server, _))) => {
                let name = name_in(url);
                let copy = format!(
                    "{name}_copy_{}",
                    random::<4>().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                );
                server.disconnect(&name).await;
                server.run(&format!("CREATE DATABASE {copy} TEMPLATE {name}")).await;
                DatabaseCopy::Postgres(copy)
            }
            (Database::Postgres(_), None) => panic!("a database without its server"),
        }
    }

    /// Puts a copy in the place of the database, which nobody has open.
    pub(crate) async fn restore(&self, copy: &DatabaseCopy) {
        match (copy, &self.location, &self.server) {
            (DatabaseCopy::File(bytes), Database::File(file), _) => std::fs::write(file, bytes).unwrap(),
            (DatabaseCopy::Postgres(copy), Database::Postgres(url), Some((server, _))) => {
                let name = name_in(url);
                server.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
                server.run(&format!("CREATE DATABASE {name} TEMPLATE {copy}")).await;
            }
            _ => panic!("a copy of another kind of database"),
        }
    }
}

impl TestState {
    /// The same as [`TestState::with_request`] on SQLite, whatever the environment says.
    pub(crate) async fn with_request_on_sqlite() -> Self {
        let test = Self::unpublished_in(TestDatabase::file(), "http://127.0.0.1:1/jwk").await;
        tokio::spawn(crate::snapshots::keep_published(test.state.clone()));
        test.put_resources().await;
        test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        test
    }

    /// Another process on a database with a copy of what is in this one's; it has the same keys.
    pub(crate) async fn on(&self, database: TestDatabase) -> Self {
        self.stop();
        for key in ["portvakt.key.pem", "portvakt.tokens.json"].map(|key| self.database.folder().join(key)) {
            if key.exists() {
                std::fs::copy(&key, database.folder().join(key.file_name().unwrap())).unwrap();
            }
        }
        let test = Self::start(self.clock.clone(), Arc::new(database), self.ids.clone(), &self.jwks_uri).await;
        tokio::spawn(crate::snapshots::keep_published(test.state.clone()));
        test
    }
}

struct Server(Url);

impl Server {
    #[expect(clippy::disallowed_methods, reason = "where tests find a server is no configuration of the program")]
    fn named() -> Option<Self> {
        match std::env::var(STORE).as_deref() {
            Ok("postgres") => Some(Self(Url::parse(&std::env::var(SERVER).unwrap()).unwrap())),
            _ => None,
        }
    }

    fn url(&self, database: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(database);
        url
    }

    async fn connect(&self) -> PgConnection {
        PgConnectOptions::from_url(&self.0).unwrap().connect().await.unwrap()
    }

    async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn names_like(&self, pattern: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let names = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname LIKE $1").bind(pattern);
        names.fetch_all(&mut connection).await.unwrap()
    }

    /// Ends every session in the database, and waits until they have ended.
    async fn disconnect(&self, database: &str) {
        let mut connection = self.connect().await;
        let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = $1";
        let _ended: i64 = sqlx::query_scalar(end).bind(database).fetch_one(&mut connection).await.unwrap();
    }

    /// An empty database that no other test has.
    async fn claim_database(&self) -> (String, PgConnection) {
        let template = self.template().await;
        let mut claim = self.connect().await;
        for name in self.names_like(&format!("{template}_test%")).await {
            if Self::try_to_claim(&mut claim, &name).await {
                self.disconnect(&name).await;
                self.empty(&name).await;
                return (name, claim);
            }
        }
        let random: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{template}_test_{random}");
        assert!(Self::try_to_claim(&mut claim, &name).await);
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        (name, claim)
    }

    async fn try_to_claim(claim: &mut PgConnection, name: &str) -> bool {
        let lock = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";
        sqlx::query_scalar(lock).bind(name).fetch_one(claim).await.unwrap()
    }

    /// Migrations store nothing in an empty database, so that empty tables are what they leave.
    async fn empty(&self, database: &str) {
        let mut connection = PgConnectOptions::from_url(&self.url(database)).unwrap().connect().await.unwrap();
        let tables =
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
        let deletes: String = tables.iter().map(|table| format!("DELETE FROM {table}; ")).collect();
        // Without foreign keys and triggers.
        let sql = format!("SET session_replication_role = replica; {deletes}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    /// A database with today's tables and nothing in them, made once.
    async fn template(&self) -> String {
        let migrations = crate::store::postgres_migrations();
        let checksums: Vec<u8> = migrations.iter().flat_map(|migration| migration.checksum.to_vec()).collect();
        let name =
            format!("portvakt_template_{}", crate::caller::sha256_hex(&checksums).chars().take(16).collect::<String>());
        let mut connection = self.connect().await;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut connection).await.unwrap();
        if self.names_like(&name).await.is_empty() {
            let unfinished = format!("{name}_unfinished");
            self.run(&format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
            self.run(&format!("CREATE DATABASE {unfinished}")).await;
            let mut database = PgConnectOptions::from_url(&self.url(&unfinished)).unwrap().connect().await.unwrap();
            migrations.run(&mut database).await.unwrap();
            database.close().await.unwrap();
            self.disconnect(&unfinished).await;
            self.run(&format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
        }
        connection.close().await.unwrap();
        name
    }
}

fn name_in(url: &Url) -> String {
    url.path().trim_start_matches('/').to_owned()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
