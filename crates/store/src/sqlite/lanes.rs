//! Lanes: which a message goes into, what waits in each, and when it may move. See `tautline_core::outbox` for the theory of
//! operation; who is claimed of them is in `claim.rs`, the turns that they get in `turns.rs`.

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::outbox::{self, Claimed, Posted};
use tautline_core::{InstallationId, TenantId, Timestamp};

use super::{turns, value};

/// The lane of a channel: by the one that Slack meant by this spelling before, else by the spelling. What waits under the
/// spelling goes first.
pub(super) fn of(
    connection: &Connection,
    installation: InstallationId,
    channel: &str,
) -> rusqlite::Result<String> {
    let spelled = outbox::lane(channel);
    let known = connection
        .prepare_cached(
            "SELECT lane FROM lane_names WHERE installation_id = ?1 AND name = ?2 AND NOT EXISTS (
               SELECT 1 FROM lanes l WHERE l.installation_id = ?1 AND l.lane = ?2
                 AND (l.waiting > 0 OR l.leased_until IS NOT NULL))",
        )?
        .query_row(params![installation.as_bytes(), spelled], |row| row.get(0))
        .optional()?;
    Ok(known.unwrap_or_else(|| spelled.to_owned()))
}

/// Keeps which channel Slack meant.
pub(super) fn learn(connection: &Connection, message: &Claimed, posted: &Posted) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO lane_names (installation_id, name, lane) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET lane = excluded.lane",
        )?
        .execute(params![message.installation.as_bytes(), outbox::lane(&message.channel), posted.channel])?;
    Ok(())
}

/// Something was posted to a channel: its lane rests until then, and is made if nothing has waited in it yet.
pub(super) fn used(
    connection: &Connection,
    installation: InstallationId,
    lane: &str,
    next_at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO lanes (installation_id, lane, waiting, next_at) VALUES (?, ?, 0, ?)
             ON CONFLICT DO UPDATE SET next_at = max(next_at, excluded.next_at)",
        )?
        .execute(params![installation.as_bytes(), lane, next_at.as_micros()])?;
    Ok(())
}

/// Puts a message of a tenant that was counted at the end of its lane.
pub(super) fn join(
    connection: &Connection,
    installation: InstallationId,
    lane: &str,
    tenant: &TenantId,
    is_urgent: bool,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let is_ready_by_it = connection
        .prepare_cached(
            "INSERT INTO lanes (installation_id, lane, waiting, next_at) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT DO UPDATE SET waiting = waiting + 1
             RETURNING waiting = 1 AND leased_until IS NULL",
        )?
        .query_row(params![installation.as_bytes(), lane, now.as_micros()], |row| row.get(0))?;
    if is_ready_by_it {
        turns::take(connection, installation, lane, tenant, now)?;
    } else if is_urgent {
        connection
            .prepare_cached("UPDATE lanes SET turn = min(turn, ?) WHERE installation_id = ? AND lane = ?")?
            .execute(params![now.as_micros(), installation.as_bytes(), lane])?;
    }
    Ok(())
}

/// A queued message is queued no more (`by` = -1), or again (1).
pub(super) fn count(connection: &Connection, message: &Claimed, by: i32) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE lanes SET waiting = waiting + ? WHERE installation_id = ? AND lane = ?")?
        .execute(params![by, message.installation.as_bytes(), message.lane])?;
    connection
        .prepare_cached("UPDATE outbox_waiting SET waiting = waiting + ? WHERE tenant_id = ?")?
        .execute(params![by, message.tenant.as_str()])?;
    Ok(())
}

/// When the next lane could move.
pub(super) fn due(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let at: Option<i64> = connection
        .prepare_cached(
            "SELECT min(at) FROM (
               SELECT min(next_at) AS at FROM lanes WHERE waiting > 0 AND leased_until IS NULL
               UNION ALL SELECT min(starts_at) FROM messages WHERE lane = '' AND state = 'queued')",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_micros))
}

/// A lane rests until then.
pub(super) fn rest(
    connection: &Connection,
    installation: InstallationId,
    lane: &str,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE lanes SET next_at = max(next_at, ?) WHERE installation_id = ? AND lane = ?")?
        .execute(params![at.as_micros(), installation.as_bytes(), lane])?;
    Ok(())
}

/// How a lane that was leased goes on.
pub(super) struct Free {
    /// When it may move again.
    pub(super) next_at: Timestamp,
    /// Its head tries in vain.
    pub(super) is_parked: bool,
    /// What time it is.
    pub(super) now: Timestamp,
}

/// Frees a lane. What waits in it must be counted by then.
pub(super) fn free(connection: &Connection, message: &Claimed, free: &Free) -> rusqlite::Result<()> {
    let waits: Option<bool> = connection
        .prepare_cached(
            "UPDATE lanes SET leased_until = NULL, next_at = ?1,
               parked_since = CASE WHEN ?2 THEN coalesce(parked_since, ?3) END
             WHERE installation_id = ?4 AND lane = ?5 RETURNING waiting > 0",
        )?
        .query_row(
            params![
                free.next_at.as_micros(),
                free.is_parked,
                free.now.as_micros(),
                message.installation.as_bytes(),
                message.lane
            ],
            |row| row.get(0),
        )
        .optional()?;
    if waits == Some(true) {
        turns::take(connection, message.installation, &message.lane, &message.tenant, free.now)?;
    }
    Ok(())
}

/// When a lane may move next, as it stands.
pub(super) fn next_at(
    connection: &Connection,
    installation: InstallationId,
    lane: &str,
) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT next_at FROM lanes WHERE installation_id = ? AND lane = ?")?
        .query_row(params![installation.as_bytes(), lane], |row| value::time(row, "next_at"))
        .optional()
}

/// Lanes whose head has tried in vain since then or longer.
pub(super) fn parked(connection: &Connection, since: Timestamp) -> rusqlite::Result<u32> {
    connection
        .prepare_cached("SELECT count(*) FROM lanes WHERE parked_since <= ?")?
        .query_row([since.as_micros()], |row| row.get(0))
}
