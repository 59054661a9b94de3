//! The embedded store: one SQLite file, one server.

mod attempts;
mod audit;
mod connects;
mod deliveries;
mod endpoints;
mod failure;
mod inbox;
mod installations;
mod keys;
mod migrate;
mod readers;
mod reap;
mod tenants;
mod value;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tautline_core::{Readiness, Store, StoreResult, Vault};

use readers::{READERS, Readers};
pub use writer::CommitGate;
use writer::Writer;

/// How long a connection waits for a lock that some other program holds on the file (a backup tool, say).
const BUSY: Duration = Duration::from_secs(5);

/// The store in a SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    vault: Arc<dyn Vault>,
    // Held for as long as the store lives; the system lets go of it however the process ends.
    _lock: File,
}

/// How to open a store.
pub struct SqliteOptions {
    /// The file; made if it is not there.
    pub path: PathBuf,
    /// Called before every commit. Tests stall a commit with it; `None` otherwise.
    pub commit_gate: Option<CommitGate>,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another server has it.
    #[error("another server is using {path}; stop it, or give this one a directory of its own")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its directory cannot be used.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A newer Tautline wrote it.
    #[error("{path} has schema {found}, and this version knows {known}; use the newer version that wrote it")]
    FromTheFuture {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// SQLite refuses.
    #[error("cannot open {path}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

impl SqliteStore {
    /// Opens the store, making or migrating it as needed. Blocks for as long as that takes.
    pub fn open(options: SqliteOptions, vault: Arc<dyn Vault>) -> Result<Self, OpenError> {
        let SqliteOptions { path, commit_gate } = options;
        let lock = lock(&path)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let mut connection = connect(&path).map_err(sqlite)?;
        migrate::migrate(&mut connection).map_err(|error| match error {
            migrate::Error::FromTheFuture { found, known } => {
                OpenError::FromTheFuture { path: path.clone(), found, known }
            }
            migrate::Error::Sqlite(source) => sqlite(source),
        })?;
        let readers =
            (0..READERS).map(|_| connect_reader(&path)).collect::<Result<_, _>>().map_err(sqlite)?;
        let writer = Writer::start(connection, commit_gate)
            .map_err(|source| OpenError::File { path: path.clone(), source })?;
        Ok(Self { writer, readers: Readers::new(readers), vault, _lock: lock })
    }
}

/// One server per file: with two, each would take the other's leases for those of the dead.
fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = path.with_added_extension("lock");
    let file = |source| OpenError::File { path: lock_path.clone(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(file)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(file(source)),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // WAL with FULL: every commit is followed by an fsync of the log. NORMAL would be faster and would lose
    // the last commits with the power.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What was deleted is overwritten: an erased token shall not rest in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[async_trait]
impl Store for SqliteStore {
    async fn readiness(&self) -> StoreResult<Readiness> {
        // Through the writer: a store that can only be read is not ready.
        let asked = |connection: &Connection| -> rusqlite::Result<Readiness> {
            let text = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
            let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let synchronous = match number("synchronous")? {
                0 => "OFF",
                1 => "NORMAL",
                2 => "FULL",
                _ => "EXTRA",
            };
            Ok(Readiness {
                engine: format!("SQLite {}, schema {}", rusqlite::version(), number("user_version")?),
                durability: format!("journal_mode={} synchronous={synchronous}", text("journal_mode")?),
            })
        };
        self.writer.write(move |connection| Ok(asked(connection)?)).await
    }
}
