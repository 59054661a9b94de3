//! Idempotency keys.

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::idempotency::{IdempotencyKey, Once};

use super::failure::Work;

/// Does the work unless it was done before under this key. Within the transaction that does it.
pub(super) fn once<T>(
    connection: &Connection,
    key: Option<&IdempotencyKey>,
    work: impl FnOnce() -> Work<T>,
) -> Work<Once<T>> {
    let Some(key) = key else { return work().map(Once::Done) };
    match find(connection, key)? {
        None => {
            record(connection, key, None)?;
            work().map(Once::Done)
        }
        Some(before) if before.is_same => Ok(Once::Before),
        Some(_) => Ok(Once::Conflict),
    }
}

/// What a key stands for.
pub(super) struct Before {
    /// Whether the same was asked then.
    pub(super) is_same: bool,
    /// What was made, where that is kept.
    pub(super) made: Option<[u8; 16]>,
}

/// What this key was used for, if it was.
pub(super) fn find(connection: &Connection, key: &IdempotencyKey) -> rusqlite::Result<Option<Before>> {
    connection
        .prepare_cached("SELECT request_hash, made FROM idempotency_keys WHERE scope = ? AND key = ?")?
        .query_row([&key.scope, &key.key], |row| {
            Ok(Before { is_same: row.get::<_, [u8; 32]>(0)? == key.request, made: row.get(1)? })
        })
        .optional()
}

/// Puts a key on record, with what is made under it.
pub(super) fn record(
    connection: &Connection,
    key: &IdempotencyKey,
    made: Option<&[u8; 16]>,
) -> rusqlite::Result<()> {
    let IdempotencyKey { scope, key, request, at } = key;
    connection
        .prepare_cached(
            "INSERT INTO idempotency_keys (scope, key, request_hash, at, made) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![scope, key, request, at.as_micros(), made])?;
    Ok(())
}
