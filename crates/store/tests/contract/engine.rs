//! The engines.

use std::sync::Arc;

use tautline_core::{Store, SystemRng};
use tautline_store::sqlite::{CommitGate, SqliteOptions};
use tautline_store::{Keyring, SqliteStore};
use tempfile::TempDir;

/// A store of its own for one test.
pub struct Engine {
    pub store: Arc<dyn Store>,
    pub dir: TempDir,
}

pub fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::single("test", [7; 32], Arc::new(SystemRng)))
}

pub fn sqlite() -> Engine {
    sqlite_with(None)
}

pub fn sqlite_with(commit_gate: Option<CommitGate>) -> Engine {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { path: dir.path().join("tautline.db"), commit_gate };
    Engine { store: Arc::new(SqliteStore::open(options, keyring()).unwrap()), dir }
}
