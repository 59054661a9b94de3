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
    once_making(connection, key, None, work)
}

/// The same, and keeps what is made under the key, for [`made`].
pub(super) fn once_making<T>(
    connection: &Connection,
    key: Option<&IdempotencyKey>,
    makes: Option<&[u8; 16]>,
    work: impl FnOnce() -> Work<T>,
) -> Work<Once<T>> {
    let Some(key) = key else { return work().map(Once::Done) };
    match find(connection, key)? {
        Some((request, _)) if request == key.request => return Ok(Once::Before),
        Some(_) => return Ok(Once::Conflict),
        None => {}
    }
    let IdempotencyKey { scope, key, request, at } = key;
    connection
        .prepare_cached(
            "INSERT INTO idempotency_keys (scope, key, request_hash, at, made) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![scope, key, request, at.as_micros(), makes])?;
    work().map(Once::Done)
}

/// What was made under this key, if it was used: `Some(None)` for another request.
pub(super) fn made(
    connection: &Connection,
    key: &IdempotencyKey,
) -> rusqlite::Result<Option<Option<[u8; 16]>>> {
    let found = find(connection, key)?;
    Ok(found.map(|(request, made)| made.filter(|_| request == key.request)))
}

type Found = ([u8; 32], Option<[u8; 16]>);

fn find(connection: &Connection, key: &IdempotencyKey) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached("SELECT request_hash, made FROM idempotency_keys WHERE scope = ? AND key = ?")?
        .query_row([&key.scope, &key.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}
