//! The engines.

use std::path::Path;
use std::sync::Arc;

use tautline_core::{EndpointId, Store, SystemRng, Timestamp};
use tautline_store::postgres::PostgresOptions;
use tautline_store::sqlite::{CommitGate, SqliteOptions};
use tautline_store::{Keyring, PostgresStore, SqliteStore};
use tautline_testing::{Cluster, Database};
use tempfile::TempDir;

/// A store of its own for one test.
pub struct Engine {
    pub store: Arc<dyn Store>,
    /// What it stands on.
    pub ground: Ground,
}

pub enum Ground {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Ground {
    /// Where SQLite's file is.
    pub fn dir(&self) -> &Path {
        match self {
            Self::Sqlite(dir) => dir.path(),
            Self::Postgres(_) => panic!("a database has no directory"),
        }
    }
}

impl Ground {
    /// Changes what is stored, as another version of the program might.
    pub fn run(&self, statement: &str) {
        match self {
            Self::Sqlite(dir) => {
                let file = rusqlite::Connection::open(dir.path().join("tautline.db")).unwrap();
                file.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                file.execute_batch(statement).unwrap();
            }
            Self::Postgres(database) => drop(database.sql(statement)),
        }
    }

    /// How many rows of any table hold this very text.
    pub fn rows_that_name(&self, text: &str) -> i64 {
        match self {
            Self::Sqlite(dir) => {
                let file = rusqlite::Connection::open(dir.path().join("tautline.db")).unwrap();
                let columns = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
                               WHERE m.type = 'table' AND c.type = 'TEXT'";
                let mut columns = file.prepare(columns).unwrap();
                let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
                let columns = columns.collect::<rusqlite::Result<Vec<(String, String)>>>().unwrap();
                let rows = |(table, column): &(String, String)| -> i64 {
                    let count = format!("SELECT count(*) FROM {table} WHERE {column} = ?");
                    file.query_row(&count, [text], |row| row.get(0)).unwrap()
                };
                assert!(columns.len() > 20, "the search looks where the rows are");
                columns.iter().map(rows).sum()
            }
            Self::Postgres(database) => {
                let columns = database.sql(
                    "SELECT quote_ident(table_name) || ' WHERE ' || quote_ident(column_name)
                     FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'text'",
                );
                assert!(columns.lines().count() > 20, "the search looks where the rows are");
                let count = |column: &str| format!("SELECT count(*) FROM {column} = '{text}'");
                let mut counts = columns.lines().map(count).collect::<Vec<_>>();
                counts.push(format!("SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_{text}'"));
                let sum = format!("SELECT sum(count) FROM ({}) AS counts", counts.join(" UNION ALL "));
                database.sql(&sum).parse().unwrap()
            }
        }
    }
}

impl Ground {
    /// So many events of acme's that wait for an endpoint, all of one moment, each with its turn. (Their bodies are gone.)
    pub fn flood(&self, count: u32, endpoint: EndpointId, at: Timestamp, turn_us: i64) {
        let at = at.as_micros();
        let until = at + 1_000_000_000_000;
        let rows = |numbers: &str, id: &str, empty: &str, endpoint: &str, yes: &str| {
            format!(
                "INSERT INTO inbox (id, tenant_id, kind, name, received_at, expires_at, sealed_body, answer)
                   SELECT {id}, 'acme', 'event', 'flood', {at}, {until}, {empty}, 'not_held' FROM {numbers};
                 INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at,
                     turn, expires_at)
                   SELECT {id}, 'acme', {id}, {endpoint}, {yes}, 'ready', 0, {at}, {at} + n * CAST({turn_us} AS bigint), {until}
                   FROM {numbers};"
            )
        };
        match self {
            Self::Sqlite(dir) => {
                let file = rusqlite::Connection::open(dir.path().join("tautline.db")).unwrap();
                let numbers = format!(
                    "(WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {}) SELECT n FROM n)",
                    count - 1
                );
                let endpoint =
                    endpoint.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                let id = "unhex(printf('%032x', n))";
                file.execute_batch(&rows(&numbers, id, "x''", &format!("x'{endpoint}'"), "1")).unwrap();
            }
            Self::Postgres(database) => {
                let numbers = format!("generate_series(0, {}) AS n", count - 1);
                let endpoint =
                    endpoint.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                let id = "lpad(to_hex(n), 32, '0')::uuid";
                database.sql(&rows(&numbers, id, "''", &format!("'{endpoint}'::uuid"), "true"));
            }
        }
    }
}

/// A new key that seals, and with it the old one or not.
pub fn other_keys(and_old: bool) -> Arc<Keyring> {
    let new = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let old = "test:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let keys = if and_old { format!("{new},{old}") } else { new.to_owned() };
    Arc::new(Keyring::parse(&keys, Arc::new(SystemRng)).unwrap())
}

/// The scene's store as another process with other keys sees it. SQLite has one server, so there it is a copy.
pub async fn reopen(scene: &crate::scene::Scene, keys: Arc<Keyring>) -> Arc<dyn Store> {
    match &scene.ground {
        Ground::Sqlite(dir) => {
            let path = dir.path().join("copy.db");
            if !path.exists() {
                tautline_store::sqlite::backup(&dir.path().join("tautline.db"), &path).unwrap();
            }
            Arc::new(
                SqliteStore::open(SqliteOptions { path, holder: "a test".into(), commit_gate: None }, keys)
                    .unwrap(),
            )
        }
        Ground::Postgres(database) => {
            let options = PostgresOptions { url: database.url().into(), clock: None };
            Arc::new(PostgresStore::open(options, keys).await.unwrap())
        }
    }
}

pub fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::single("test", [7; 32], Arc::new(SystemRng)))
}

pub async fn sqlite() -> Engine {
    sqlite_with(None)
}

pub async fn postgres() -> Engine {
    let database = Cluster::shared().database();
    Engine { store: Arc::new(postgres_on(&database).await), ground: Ground::Postgres(database) }
}

/// A store on a database, as one of several replicas opens it.
pub async fn postgres_on(database: &Database) -> PostgresStore {
    let options = PostgresOptions { url: database.url().into(), clock: None };
    PostgresStore::open(options, keyring()).await.unwrap()
}

pub fn sqlite_with(commit_gate: Option<CommitGate>) -> Engine {
    let dir = tempfile::tempdir().unwrap();
    let options =
        SqliteOptions { path: dir.path().join("tautline.db"), holder: "a test".into(), commit_gate };
    Engine { store: Arc::new(SqliteStore::open(options, keyring()).unwrap()), ground: Ground::Sqlite(dir) }
}
