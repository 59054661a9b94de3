//! A copy of the whole store, made while it is in use, and brought back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use tautline_core::Vault;
use tautline_core::keeping::Keeping as _;

use super::{OpenError, SqliteOptions, SqliteStore, private_file};

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    move |source| OpenError::File { path: path.to_owned(), source }
}

/// Writes a copy as of this moment, whoever is at work on the store. What is sealed stays sealed: without the keys
/// the copy is worth nothing. It is there whole, or not at all.
pub fn backup(path: &Path, to: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    if to.exists() {
        return Err(file_error(to)(std::io::ErrorKind::AlreadyExists.into()));
    }
    let unfinished = to.with_added_extension("new");
    let _ = fs::remove_file(&unfinished);
    let copy = private_file(&unfinished)?;
    // Reads one moment of the file; those who write go on.
    source.execute("VACUUM INTO ?", [unfinished.to_string_lossy()]).map_err(sqlite)?;
    copy.sync_all().map_err(file_error(&unfinished))?;
    put_in_place(&unfinished, to)
}

/// Brings a copy back to where there is no store, with its messages held; says how many those are.
pub async fn restore(from: &Path, path: PathBuf, vault: Arc<dyn Vault>) -> Result<u64, OpenError> {
    if path.exists() {
        return Err(file_error(&path)(std::io::ErrorKind::AlreadyExists.into()));
    }
    let check = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|copy| copy.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
    let sound = check.map_err(|source| OpenError::Sqlite { path: from.to_owned(), source })?;
    if sound != "ok" {
        return Err(OpenError::Damaged { path: from.to_owned(), what: sound });
    }
    // In place only once its messages are held: a server that found it before would send them again.
    let unfinished = path.with_added_extension("restoring");
    fs::copy(from, &unfinished).map_err(file_error(&unfinished))?;
    let store = SqliteStore::open(SqliteOptions { path: unfinished.clone(), commit_gate: None }, vault)?;
    let held = store
        .hold_messages()
        .await
        .map_err(|source| OpenError::Store { path: unfinished.clone(), source })?;
    // The last connection brings what is in the log into the file.
    drop(store);
    let _ = fs::remove_file(unfinished.with_added_extension("lock"));
    put_in_place(&unfinished, &path)?;
    Ok(held)
}

/// Under its own name, and that survives the power.
fn put_in_place(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::rename(from, to).map_err(file_error(to))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(file_error(to))
}
