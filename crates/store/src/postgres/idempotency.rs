//! Idempotency keys.

use sqlx::Row as _;
use tautline_core::idempotency::{IdempotencyKey, Once};
use uuid::Uuid;

use super::database::{Tx, sql};
use super::failure::Work;
use super::value;

/// What becomes of a POST that came before; `None`: it did not, and now its key is on record. Within the
/// transaction that does the work.
pub(super) async fn before<T>(tx: &mut Tx, key: Option<&IdempotencyKey>) -> Work<Option<Once<T>>> {
    let Some(key) = key else { return Ok(None) };
    let before = claim(tx, key, None).await?;
    Ok(before.map(|before| if before.is_same { Once::Before } else { Once::Conflict }))
}

/// What a key stands for.
pub(super) struct Before {
    /// Whether the same was asked then.
    pub(super) is_same: bool,
    /// What was made, where that is kept.
    pub(super) made: Option<[u8; 16]>,
}

/// Puts a key on record, with what is made under it, unless it is there: then what it was used for. Of two that
/// come at once the second waits here for the first.
pub(super) async fn claim(
    tx: &mut Tx,
    key: &IdempotencyKey,
    made: Option<&[u8; 16]>,
) -> Work<Option<Before>> {
    let inserted = tx
        .execute(
            sql("INSERT INTO idempotency_keys (scope, key, request_hash, at, made) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING")
            .bind(value::text(&key.scope))
            .bind(value::text(&key.key))
            .bind(key.request.to_vec())
            .bind(key.at.as_micros())
            .bind(made.map(value::uuid)),
        )
        .await?;
    if inserted == 1 { Ok(None) } else { find(tx, key).await }
}

/// What this key was used for, if it was.
pub(super) async fn find(tx: &mut Tx, key: &IdempotencyKey) -> Work<Option<Before>> {
    let found = sql("SELECT request_hash, made FROM idempotency_keys WHERE scope = $1 AND key = $2")
        .bind(value::text(&key.scope))
        .bind(value::text(&key.key));
    tx.maybe(found, |row| {
        Ok(Before {
            is_same: row.try_get::<Vec<u8>, _>("request_hash")? == key.request,
            made: row.try_get::<Option<Uuid>, _>("made")?.map(Uuid::into_bytes),
        })
    })
    .await
}
