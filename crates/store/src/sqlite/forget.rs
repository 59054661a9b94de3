//! What is older than it is kept for, deleted in parts. Nothing that still waits is deleted by age.

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::keeping::Forgotten;
use tautline_core::{StoreResult, Timestamp, least_at, limits};

use super::writer::Writer;
use crate::limits::PART;

pub(super) async fn forget(writer: &Writer, now: Timestamp) -> StoreResult<Forgotten> {
    let mut forgotten = Forgotten::default();
    // Each part is a write of its own, so that others come in between.
    for part in [
        seen,
        unclaimed,
        requests,
        request_bodies,
        messages,
        message_bodies,
        keys,
        links,
        parked,
        lanes,
        paces,
        installations,
    ] {
        let rows = writer.write(move |connection| Ok(part(connection, now)?)).await?;
        forgotten.count(rows, PART as u64);
    }
    Ok(forgotten)
}

fn seen(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let old = now.before(limits::SEEN_KEPT).as_micros();
    delete(
        connection,
        "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE seen_at < ?1 LIMIT ?2)",
        old,
    )
}

fn unclaimed(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM inbox WHERE id IN
               (SELECT id FROM inbox WHERE tenant_id IS NULL AND id < ? ORDER BY id LIMIT ?)",
        )?
        .execute(params![least_at(now.before(limits::UNCLAIMED_KEPT)), PART])?;
    Ok(deleted as u64)
}

/// Deliveries and attempts go with their request.
fn requests(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM inbox WHERE id IN (
               SELECT i.id FROM inbox i WHERE i.id < ? AND i.answer <> 'waiting' AND NOT EXISTS (
                 SELECT 1 FROM deliveries d WHERE d.request_id = i.id AND d.state IN ('ready', 'leased'))
               ORDER BY i.id LIMIT ?)",
        )?
        .execute(params![least_at(now.before(limits::RECORD_KEPT)), PART])?;
    Ok(deleted as u64)
}

fn request_bodies(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let ids = go_on(
        connection,
        "inbox",
        "SELECT id FROM inbox WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3",
        now,
    )?;
    for id in &ids {
        connection
            .prepare_cached(
                "UPDATE attempts SET sealed_answer = NULL WHERE delivery_id IN
                   (SELECT id FROM deliveries WHERE request_id = ?1 AND state IN ('delivered', 'dead'))",
            )?
            .execute([id])?;
        connection
            .prepare_cached(
                "UPDATE inbox SET sealed_body = x'' WHERE id = ?1 AND answer <> 'waiting' AND NOT EXISTS (
                   SELECT 1 FROM deliveries WHERE request_id = ?1 AND state IN ('ready', 'leased'))",
            )?
            .execute([id])?;
    }
    Ok(ids.len() as u64)
}

/// Attempts go with their message.
fn messages(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM messages WHERE id IN (
               SELECT id FROM messages WHERE id < ? AND state NOT IN ('queued', 'sending', 'held') AND doubt_since IS NULL
               ORDER BY id LIMIT ?)",
        )?
        .execute(params![least_at(now.before(limits::RECORD_KEPT)), PART])?;
    Ok(deleted as u64)
}

fn message_bodies(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let next = "SELECT id FROM messages WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let ids = go_on(connection, "messages", next, now)?;
    let mut empty = connection.prepare_cached(
        "UPDATE messages SET sealed_arguments = x'' WHERE id = ? AND state NOT IN ('queued', 'sending', 'held') AND doubt_since IS NULL",
    )?;
    for id in &ids {
        empty.execute([id])?;
    }
    Ok(ids.len() as u64)
}

/// The next rows whose bodies have come of age. What waited then keeps its body until its record goes.
fn go_on(connection: &Connection, what: &str, next: &str, now: Timestamp) -> rusqlite::Result<Vec<[u8; 16]>> {
    let upto: Option<[u8; 16]> = connection
        .prepare_cached("SELECT upto FROM forgotten WHERE what = ?")?
        .query_row([what], |row| row.get(0))
        .optional()?;
    let ids = connection
        .prepare_cached(next)?
        .query_map(params![upto.unwrap_or_default(), least_at(now.before(limits::BODY_KEPT)), PART], |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<Vec<[u8; 16]>>>()?;
    if let Some(last) = ids.last() {
        connection
            .prepare_cached(
                "INSERT INTO forgotten (what, upto) VALUES (?, ?) ON CONFLICT DO UPDATE SET upto = excluded.upto",
            )?
            .execute(params![what, last])?;
    }
    Ok(ids)
}

fn keys(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let old = "DELETE FROM idempotency_keys WHERE (scope, key) IN
                 (SELECT scope, key FROM idempotency_keys WHERE at < ?1 LIMIT ?2)";
    delete(connection, old, now.before(limits::KEY_KEPT).as_micros())
}

fn links(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let old =
        "DELETE FROM connect_links WHERE id IN (SELECT id FROM connect_links WHERE expires_at < ?1 LIMIT ?2)";
    delete(connection, old, now.before(limits::KEY_KEPT).as_micros())
}

/// Installs that nobody claimed: they hold tokens.
fn parked(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let old = "DELETE FROM parked_installs WHERE id IN
                 (SELECT id FROM parked_installs WHERE expires_at < ?1 LIMIT ?2)";
    delete(connection, old, now.as_micros())
}

/// Lanes that nobody has used for long; the next message makes them anew.
fn lanes(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let idle = "DELETE FROM lanes WHERE (installation_id, lane) IN (SELECT installation_id, lane FROM lanes
                  WHERE waiting = 0 AND leased_until IS NULL AND next_at < ?1 LIMIT ?2)";
    delete(connection, idle, now.before(limits::KEY_KEPT).as_micros())
}

/// Windows of methods that were not called for long.
fn paces(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let past = "DELETE FROM paces WHERE (installation_id, method) IN
                  (SELECT installation_id, method FROM paces WHERE used_until < ?1 AND rests_until < ?1 LIMIT ?2)";
    delete(connection, past, now.before(limits::KEY_KEPT).as_micros())
}

/// Those that ended a day ago: Slack has nothing more to say of them.
fn installations(connection: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let ended = "DELETE FROM installations WHERE id IN
                   (SELECT id FROM installations WHERE removed_at < ?1 AND removed_at >= updated_at LIMIT ?2)";
    delete(connection, ended, now.before(limits::UNCLAIMED_KEPT).as_micros())
}

fn delete(connection: &Connection, sql: &str, old: i64) -> rusqlite::Result<u64> {
    Ok(connection.prepare_cached(sql)?.execute(params![old, PART])? as u64)
}
