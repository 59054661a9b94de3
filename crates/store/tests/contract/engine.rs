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
    let options = SqliteOptions { path: dir.path().join("tautline.db"), commit_gate };
    Engine { store: Arc::new(SqliteStore::open(options, keyring()).unwrap()), ground: Ground::Sqlite(dir) }
}
