//! The embedded store: one SQLite file, one server.

mod attempts;
mod audit;
mod backup;
mod changes;
mod channels;
mod checkpoint;
mod claim;
mod connects;
mod deliveries;
mod directory;
mod due;
mod endpoints;
mod erase;
mod erase_user;
mod failure;
mod forget;
mod idempotency;
mod inbox;
mod installations;
mod keeping;
mod keys;
mod known;
mod lanes;
mod listed;
mod migrate;
mod moves;
mod outbox;
mod paces;
mod parked;
mod readers;
mod reap;
mod refreshes;
mod reseal;
mod routes;
mod sessions;
mod settle;
mod standings;
mod tenants;
mod turns;
mod unsent;
mod value;
mod writer;

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tautline_core::{Readiness, Store, StoreError, StoreResult, Timestamp, Vault};

pub use backup::{backup, restore};
use checkpoint::Checkpoints;
use known::Known;
use readers::{Glances, Readers};
pub use writer::CommitGate;
use writer::Writer;

use crate::limits::{BUSY, GLANCES, LIST_READERS, LOG_PAGES, LOOKUP_READERS, STATEMENTS, WRITER_CACHE_KIB};

/// The store in a SQLite file.
pub struct SqliteStore {
    writer: Writer,
    known: Known,
    glances: Glances,
    lookups: Readers,
    lists: Readers,
    vault: Arc<dyn Vault>,
    // Held for as long as the store lives; the system lets go of it however the process ends.
    _lock: File,
}

/// How to open a store.
pub struct SqliteOptions {
    /// The file; made if it is not there.
    pub path: PathBuf,
    /// Who opens it, for those who find it in use: a server's URL.
    pub holder: String,
    /// Called before every commit. Tests stall a commit with it; `None` otherwise.
    pub commit_gate: Option<CommitGate>,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another server has it.
    #[error("{path} is in use by another server ({by}); stop it, or give this one a directory of its own")]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who says so: what the other's [`SqliteOptions::holder`] was.
        by: String,
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
    /// There is something already.
    #[error("{path} is there already; move it away first")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is no whole store.
    #[error("{path} is no backup that can be restored: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, by SQLite.
        what: String,
    },
    /// It opens, and then does not do what it should.
    #[error("cannot use {path}")]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
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
        let SqliteOptions { path, holder, commit_gate } = options;
        let lock = lock(&path, &holder)?;
        // Before SQLite makes it with whatever mode the surroundings suggest; its log takes the file's.
        private_file(&path)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let mut connection = connect(&path).map_err(sqlite)?;
        migrate::migrate(&mut connection).map_err(|error| match error {
            migrate::Error::FromTheFuture { found, known } => {
                OpenError::FromTheFuture { path: path.clone(), found, known }
            }
            migrate::Error::Sqlite(source) => sqlite(source),
        })?;
        let tuned = |name: &str, value: i64| connection.pragma_update(None, name, value).map_err(sqlite);
        tuned("cache_size", -WRITER_CACHE_KIB)?;
        tuned("wal_autocheckpoint", LOG_PAGES)?;
        let readers = |count| (0..count).map(|_| connect_reader(&path)).collect::<Result<Vec<_>, _>>();
        let glances = readers(GLANCES).and_then(Glances::new).map_err(sqlite)?;
        let lookups = Readers::new(readers(LOOKUP_READERS).map_err(sqlite)?);
        let lists = Readers::new(readers(LIST_READERS).map_err(sqlite)?);
        let known = Known::default();
        known.watch(&mut connection).map_err(sqlite)?;
        let checkpoints = connect(&path).map_err(sqlite)?;
        let writer = Checkpoints::start(checkpoints)
            .and_then(|checkpoints| Writer::start(connection, known.clone(), checkpoints, commit_gate))
            .map_err(|source| OpenError::File { path: path.clone(), source })?;
        Ok(Self { writer, known, glances, lookups, lists, vault, _lock: lock })
    }

    /// Looks at a few rows by an index: here and now where that can be, else in its turn.
    async fn look_up<T: Send + 'static>(
        &self,
        look: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreResult<T> {
        match self.glances.glance(&look)? {
            Some(seen) => Ok(seen),
            None => self.lookups.read(move |connection| Ok(look(connection)?)).await,
        }
    }
}

/// The schema of a file, and the one that this version knows. A file that is not there has schema 0.
pub fn schema(path: &Path) -> Result<(u32, u32), OpenError> {
    if !path.exists() {
        return Ok((0, migrate::KNOWN));
    }
    let found = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|connection| connection.pragma_query_value(None, "user_version", |row| row.get(0)));
    let found = found.map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    Ok((found, migrate::KNOWN))
}

/// One server per file: with two, each would take the other's leases for those of the dead.
/// The holder's name is in the file, for whoever comes second.
fn lock(path: &Path, holder: &str) -> Result<File, OpenError> {
    let name = path.with_added_extension("lock");
    let failed = |source| OpenError::File { path: name.clone(), source };
    let mut lock = private_file(&name)?;
    match lock.try_lock() {
        Ok(()) => {
            lock.set_len(0).and_then(|()| lock.write_all(holder.as_bytes())).map_err(failed)?;
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => {
            let by = std::fs::read_to_string(&name).unwrap_or_default();
            Err(OpenError::InUse { path: path.to_owned(), by })
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A file that only its owner can read, made if it is not there.
fn private_file(path: &Path) -> Result<File, OpenError> {
    let open = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
    open.map_err(|source| OpenError::File { path: path.to_owned(), source })
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Without SQLite's URI notation: a path is a path.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // WAL with FULL: every commit is followed by an fsync of the log. NORMAL would be faster and would lose
    // the last commits with the power.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What was deleted is overwritten: an erased token shall not rest in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    // Else a statement may be prepared anew whenever it is given other values, to see whether another plan suits those: some of
    // ours were, for each message. The plans are tested, and do not depend on values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[async_trait]
impl Store for SqliteStore {
    fn is_shared(&self) -> bool {
        false
    }

    async fn readiness(&self, now: Timestamp) -> StoreResult<Readiness> {
        let asked = move |connection: &Connection| -> rusqlite::Result<Readiness> {
            // A store that can only be read is not ready: a row is written, and the commit waits for the disk.
            connection
                .prepare_cached(
                    "INSERT INTO readiness (id, at) VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
                )?
                .execute([now.as_micros()])?;
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn other_values_do_not_prepare_a_statement_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = connect(&dir.path().join("store")).unwrap();
        migrate::migrate(&mut connection).unwrap();
        // There is an index of the messages in one lane, and it could fit.
        let by_lane =
            "SELECT 1 FROM messages WHERE installation_id = x'00' AND lane = ? AND state = 'queued'";
        let mut statement = connection.prepare(by_lane).unwrap();
        for lane in ["C1", "C2", ""] {
            assert!(!statement.exists([lane]).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
