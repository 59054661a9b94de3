//! Turns: each tenant has a place in the queue, and a count of what waits of it. See `tautline_core::outbox`.

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::{InstallationId, TenantId, Timestamp, limits};

/// How many messages of a tenant are queued.
pub(super) fn waiting(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<u32> {
    let waiting = connection
        .prepare_cached("SELECT waiting FROM outbox_waiting WHERE tenant_id = ?")?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?;
    Ok(waiting.unwrap_or(0))
}

/// One more message of a tenant waits.
pub(super) fn count_one(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO outbox_waiting (tenant_id, waiting) VALUES (?, 1)
             ON CONFLICT DO UPDATE SET waiting = waiting + 1",
        )?
        .execute([tenant.as_str()])?;
    Ok(())
}

/// Gives a lane the next turn of its tenant, but for one that answers a person: that goes at once.
pub(super) fn take(
    connection: &Connection,
    installation: InstallationId,
    lane: &str,
    tenant: &TenantId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let quantum = i64::try_from(limits::TURN.as_micros()).unwrap_or(i64::MAX);
    let turn: Option<i64> = connection
        .prepare_cached(
            "UPDATE outbox_waiting SET turn_at = max(turn_at, ?1) + ?2 WHERE tenant_id = ?3 RETURNING turn_at - ?2",
        )?
        .query_row(params![now.as_micros(), quantum, tenant.as_str()], |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached(
            "UPDATE lanes SET turn = max(next_at, CASE WHEN EXISTS (
                 SELECT 1 FROM messages m WHERE m.installation_id = ?1 AND m.lane = ?2 AND m.rank = 0
                   AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)) THEN ?3 ELSE ?4 END)
             WHERE installation_id = ?1 AND lane = ?2",
        )?
        .execute(params![installation.as_bytes(), lane, now.as_micros(), turn])?;
    Ok(())
}
