//! A copy of the whole store, made while it is in use, and brought back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use tautline_core::Vault;
use tautline_core::keeping::Keeping as _;

use super::{OpenError, SqliteOptions, SqliteStore, lock, private_file};

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    move |source| OpenError::File { path: path.to_owned(), source }
}

/// Writes a copy as of this moment, whoever is at work on the store. What is sealed stays sealed: without the keys
/// the copy is worth nothing. It is there whole, or not at all.
pub fn backup(path: &Path, to: &Path) -> Result<(), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(path, flags);
    let source = source.map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    is_free(to)?;
    let unfinished = to.with_added_extension("new");
    let copied = fresh(&unfinished).and_then(|copy| {
        // Reads one moment of the file; those who write go on.
        source
            .execute("VACUUM INTO ?", [unfinished.to_string_lossy()])
            .map_err(|source| OpenError::Sqlite { path: unfinished.clone(), source })?;
        copy.sync_all().map_err(file_error(&unfinished))?;
        put_in_place(&unfinished, to)
    });
    copied.inspect_err(|_| remove(&unfinished))
}

/// Brings a copy back to where there is no store, with its messages held; says how many those are.
pub async fn restore(from: &Path, path: PathBuf, vault: Arc<dyn Vault>) -> Result<u64, OpenError> {
    is_whole(from)?;
    // A log beside it would be taken for the restored file's own.
    for name in [path.clone(), sibling(&path, "-wal"), sibling(&path, "-shm"), sibling(&path, "-journal")] {
        is_free(&name)?;
    }
    // A server whose file was moved away under it still has it.
    let _lock = lock(&path, "tautline restore")?;
    // In place only once its messages are held: a server that found it before would send them again.
    let unfinished = path.with_added_extension("restoring");
    let restored = restore_aside(from, &unfinished, vault).await;
    let restored = restored.and_then(|held| put_in_place(&unfinished, &path).map(|()| held));
    for name in [sibling(&unfinished, "-wal"), sibling(&unfinished, "-shm"), sibling(&unfinished, ".lock")] {
        remove(&name);
    }
    restored.inspect_err(|_| remove(&unfinished))
}

async fn restore_aside(from: &Path, to: &Path, vault: Arc<dyn Vault>) -> Result<u64, OpenError> {
    let mut copy = fresh(to)?;
    let mut source = File::open(from).map_err(file_error(from))?;
    std::io::copy(&mut source, &mut copy).map_err(file_error(to))?;
    let options = SqliteOptions { path: to.to_owned(), holder: "tautline restore".into(), commit_gate: None };
    let store = SqliteStore::open(options, vault)?;
    let held = store.hold_messages().await;
    let held = held.map_err(|source| OpenError::Store { path: to.to_owned(), source })?;
    drop(store);
    // Only the file itself is put in place: what is still in its log would be lost, and with it that they are held.
    let emptied = Connection::open(to)
        .and_then(|file| file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
    match emptied {
        Ok(0) => copy.sync_all().map_err(file_error(to)).map(|()| held),
        Ok(_) => Err(OpenError::Damaged { path: to.to_owned(), what: "its log could not be emptied".into() }),
        Err(source) => Err(OpenError::Sqlite { path: to.to_owned(), source }),
    }
}

/// Whether it is a store of ours, and all of it.
fn is_whole(path: &Path) -> Result<(), OpenError> {
    let damaged = |what: &str| OpenError::Damaged { path: path.to_owned(), what: what.to_owned() };
    File::open(path).map_err(file_error(path))?;
    let look = || -> rusqlite::Result<(String, i64, bool)> {
        let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok((
            copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?,
            copy.pragma_query_value(None, "user_version", |row| row.get(0))?,
            copy.table_exists(None, "inbox")?,
        ))
    };
    match look() {
        Ok((sound, ..)) if sound != "ok" => Err(damaged(&sound)),
        Ok((_, schema, has_inbox)) if schema < 1 || !has_inbox => {
            Err(damaged("it is not a store of Tautline's"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

fn is_free(path: &Path) -> Result<(), OpenError> {
    if path.exists() { Err(OpenError::Exists { path: path.to_owned() }) } else { Ok(()) }
}

/// A new file that only its owner can read, in place of what an earlier try left.
fn fresh(path: &Path) -> Result<File, OpenError> {
    remove(path);
    private_file(path)
}

fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

fn sibling(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Under its own name, and that survives the power.
fn put_in_place(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::rename(from, to).map_err(file_error(to))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(file_error(to))
}
