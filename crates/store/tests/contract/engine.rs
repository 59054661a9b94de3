//! The engines.

use std::path::Path;
use std::sync::Arc;

use tautline_core::{Store, SystemRng};
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
