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
    let Some(IdempotencyKey { scope, key, request, at }) = key else { return work().map(Once::Done) };
    let before: Option<[u8; 32]> = connection
        .prepare_cached("SELECT request_hash FROM idempotency_keys WHERE scope = ? AND key = ?")?
        .query_row([scope, key], |row| row.get(0))
        .optional()?;
    match before {
        Some(before) if before == *request => return Ok(Once::Before),
        Some(_) => return Ok(Once::Conflict),
        None => {}
    }
    connection
        .prepare_cached("INSERT INTO idempotency_keys (scope, key, request_hash, at) VALUES (?, ?, ?, ?)")?
        .execute(params![scope, key, request, at.as_micros()])?;
    work().map(Once::Done)
}
