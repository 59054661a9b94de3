//! What the dead leave behind: leases that ran out, answers nobody gave, deliveries that waited too long.

use rusqlite::{Connection, Row, params};
use tautline_core::delivery::{DeadReason, Reap, Reaped};
use tautline_core::kinds::Policy;
use tautline_core::schedule::{self, Next};
use tautline_core::{EndpointId, Timestamp, limits};

use super::{due, inbox, value};
use crate::columns;
use crate::limits::REAP_BATCH;

pub(super) fn reap(connection: &Connection, now: Timestamp, which: Reap) -> rusqlite::Result<Reaped> {
    let mut reaped = Reaped::default();
    loop {
        let (unanswered, orphans) =
            (mark_unanswered(connection, now, which)?, take_back_leases(connection, now, which)?);
        let expired = end_expired(connection, now)?;
        let parts = [unanswered, orphans, expired.len(), end_removed(connection)?];
        reaped.expired.extend(expired);
        reaped.changed += parts.iter().sum::<usize>();
        reaped.is_more = parts.iter().any(|part| *part >= REAP_BATCH as usize);
        // Before a server begins there is no traffic to stay short for, and everything must be taken back.
        if which == Reap::RunOut || parts == [0; 4] {
            reaped.expired.sort_unstable();
            reaped.expired.dedup();
            return Ok(reaped);
        }
    }
}

/// A held request that still waits has lost the process that would answer. Its answering delivery ends with
/// it, unless an attempt is under way or made: a person saw an error, and asks again.
fn mark_unanswered(connection: &Connection, now: Timestamp, which: Reap) -> rusqlite::Result<usize> {
    let before = match which {
        Reap::All => now.as_micros(),
        Reap::RunOut => now.before(limits::LEASE).as_micros(),
    };
    let mut waiting = connection.prepare_cached(
        "SELECT id FROM inbox WHERE answer = 'waiting' AND received_at <= ? ORDER BY received_at LIMIT ?",
    )?;
    let ids = waiting
        .query_map(params![before, REAP_BATCH], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<[u8; 16]>>>()?;
    for id in &ids {
        connection.prepare_cached("UPDATE inbox SET answer = 'unanswered' WHERE id = ?")?.execute([id])?;
        connection
            .prepare_cached(
                "UPDATE deliveries SET state = 'dead', dead_reason = ?, next_at = NULL
                 WHERE request_id = ? AND answers = 1 AND state = 'ready'",
            )?
            .execute(params![DeadReason::NotRepeatable.as_str(), id])?;
    }
    Ok(ids.len())
}

struct Orphan {
    delivery: [u8; 16],
    tenant: String,
    attempt: u32,
    leased_at: Timestamp,
    next: Next,
}

fn take_back_leases(connection: &Connection, now: Timestamp, which: Reap) -> rusqlite::Result<usize> {
    let until = match which {
        Reap::All => i64::MAX,
        Reap::RunOut => now.as_micros(),
    };
    let orphans = connection
        .prepare_cached(
            "SELECT d.id, d.tenant_id, d.attempt, d.leased_until, d.expires_at, i.kind
             FROM deliveries d JOIN inbox i ON i.id = d.request_id
             WHERE d.state = 'leased' AND d.leased_until <= ? LIMIT ?",
        )?
        .query_map(params![until, REAP_BATCH], |row| orphan(row, now))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for orphan in &orphans {
        release(connection, orphan)?;
    }
    Ok(orphans.len())
}

fn orphan(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Orphan> {
    let policy = Policy::of(inbox::kind(row)?);
    let attempt = row.get("attempt")?;
    Ok(Orphan {
        delivery: value::id(row, "id")?,
        tenant: row.get("tenant_id")?,
        attempt,
        leased_at: value::time(row, "leased_until")?.before(limits::LEASE),
        next: schedule::after_interruption(&policy, attempt, now, value::time(row, "expires_at")?),
    })
}

fn release(connection: &Connection, orphan: &Orphan) -> rusqlite::Result<()> {
    let (state, next_at, reason) = columns::next(&orphan.next);
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?, next_at = ?, dead_reason = ?, leased_until = NULL WHERE id = ?",
        )?
        .execute(params![state.as_str(), next_at, reason, orphan.delivery])?;
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery_id, number, tenant_id, started_at, outcome)
             VALUES (?, ?, ?, ?, 'interrupted') ON CONFLICT DO NOTHING",
        )?
        .execute(params![orphan.delivery, orphan.attempt, orphan.tenant, orphan.leased_at.as_micros()])?;
    Ok(())
}

fn end_expired(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<EndpointId>> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'dead', dead_reason = ?, next_at = NULL
             WHERE id IN (SELECT id FROM deliveries WHERE state = 'ready' AND expires_at <= ? LIMIT ?)
             RETURNING endpoint_id",
        )?
        .query_map(params![DeadReason::Expired.as_str(), now.as_micros(), REAP_BATCH], |row| {
            Ok(EndpointId::from_bytes(row.get(0)?))
        })?
        .collect()
}

/// What waits for an endpoint that was removed.
fn end_removed(connection: &Connection) -> rusqlite::Result<usize> {
    let mut ended = 0;
    for waiting in [due::REMOVED_FIRST, due::REMOVED_AGAIN] {
        ended += connection
            .prepare_cached(&format!(
                "UPDATE deliveries SET state = 'dead', dead_reason = ?1, next_at = NULL WHERE id IN ({waiting})"
            ))?
            .execute(params![DeadReason::Removed.as_str(), REAP_BATCH])?;
    }
    Ok(ended)
}
