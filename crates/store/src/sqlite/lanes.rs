//! Lanes: who is next, and when. See `tautline_core::outbox` for the theory of operation.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::looking::Doubt;
use tautline_core::operation::{OnUncertain, Operation};
use tautline_core::outbox::{self, Claim, Claimed, MessageState, Posted};
use tautline_core::pace::{Called, Gate};
use tautline_core::{InstallationId, MessageId, TenantId, Timestamp, limits};

use super::{paces, value};

/// What [`read`] reads of a message.
macro_rules! claimed_columns {
    () => {
        "m.id, m.tenant_id, m.installation_id, m.operation, m.channel, m.route, m.lane, m.attempt, m.doubt_since,
         m.doubt_at, m.on_uncertain, m.is_possible_duplicate, m.accepted_at, m.expires_at"
    };
}
pub(super) use claimed_columns;

/// How many messages of a tenant are queued.
pub(super) fn waiting(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<u32> {
    let waiting = connection
        .prepare_cached("SELECT waiting FROM outbox_waiting WHERE tenant_id = ?")?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?;
    Ok(waiting.unwrap_or(0))
}

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
    let spelled = outbox::lane(&message.channel);
    if spelled != posted.channel && message.lane != posted.channel {
        connection
            .prepare_cached(
                "INSERT INTO lane_names (installation_id, name, lane) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET lane = excluded.lane",
            )?
            .execute(params![message.installation.as_bytes(), spelled, posted.channel])?;
    }
    Ok(())
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
    if is_urgent {
        connection
            .prepare_cached(
                "UPDATE lanes SET turn = CASE WHEN ?1 THEN ?2 ELSE min(turn, ?2) END
                 WHERE installation_id = ?3 AND lane = ?4",
            )?
            .execute(params![is_ready_by_it, now.as_micros(), installation.as_bytes(), lane])?;
    } else if is_ready_by_it {
        take_turn(connection, installation, lane, tenant, now)?;
    }
    Ok(())
}

/// Gives a lane the next turn of its tenant, but for one that answers a person: that goes at once.
fn take_turn(
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

/// Takes the heads of lanes that are due, their arguments still sealed. What the pace holds back moves its lane to when it may
/// go.
pub(super) fn claim(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<(Claimed, Vec<u8>)>> {
    let heads = heads(connection, claim)?;
    let mut windows = HashMap::new();
    for (message, _) in &heads {
        let call: Called = (message.installation, message.operation.method());
        if let Entry::Vacant(unknown) = windows.entry(call) {
            unknown.insert(paces::find(connection, call.0, call.1)?);
        }
    }
    let mut gate = Gate::new(&claim.paces, claim.now, windows);
    let mut claimed = Vec::new();
    for (message, sealed) in heads {
        match gate.pass((message.installation, message.operation.method())) {
            Ok(()) => {
                take(connection, &message, claim.leased_until)?;
                claimed.push((message, sealed));
            }
            Err(at) => move_to(connection, message.installation, &message.lane, at)?,
        }
    }
    for ((installation, method), window) in gate.into_windows() {
        paces::keep(connection, installation, method, &window)?;
    }
    Ok(claimed)
}

fn heads(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<(Claimed, Vec<u8>)>> {
    let due = connection
        .prepare_cached(
            "SELECT installation_id, lane FROM lanes
             WHERE waiting > 0 AND leased_until IS NULL AND next_at <= ? ORDER BY turn LIMIT ?",
        )?
        .query_map(params![claim.now.as_micros(), value::limit(claim.most)], |row| {
            Ok((value::id(row, 0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<([u8; 16], String)>>>()?;
    let mut head = connection.prepare_cached(concat!(
        "SELECT ",
        claimed_columns!(),
        ", m.sealed_arguments, a.state AS about_state, a.posted_channel AS about_channel, a.ts AS about_ts
         FROM messages m LEFT JOIN messages a ON a.id = m.about
         WHERE m.installation_id = ? AND m.lane = ? AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)
           AND m.state IN ('queued', 'uncertain')
           AND (m.expires_at > ? OR m.doubt_since IS NOT NULL) ORDER BY m.rank, m.seq LIMIT 1"
    ))?;
    let mut found = Vec::new();
    for (installation, lane) in due {
        let read = |row: &Row<'_>| {
            let message = read(row)?;
            let about = about(row)?;
            Ok((
                Claimed { attempt: message.attempt + 1, about, ..message },
                row.get::<_, Vec<u8>>("sealed_arguments")?,
            ))
        };
        found.extend(head.query_row(params![installation, lane, claim.now.as_micros()], read).optional()?);
    }
    Ok(found)
}

fn take(connection: &Connection, message: &Claimed, leased_until: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE messages SET state = 'sending', attempt = ? WHERE id = ?")?
        .execute(params![message.attempt, message.id.as_bytes()])?;
    connection
        .prepare_cached("UPDATE lanes SET leased_until = ? WHERE installation_id = ? AND lane = ?")?
        .execute(params![leased_until.as_micros(), message.installation.as_bytes(), message.lane])?;
    count(connection, message, -1)
}

/// A lane rests until then.
pub(super) fn move_to(
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

fn about(row: &Row<'_>) -> rusqlite::Result<Option<(MessageState, Option<Posted>)>> {
    if row.get::<_, Option<String>>("about_state")?.is_none() {
        return Ok(None);
    }
    let posted = match (row.get("about_channel")?, row.get("about_ts")?) {
        (Some(channel), Some(ts)) => Some(Posted { channel, ts }),
        _ => None,
    };
    Ok(Some((value::named(row, "about_state", MessageState::from_name)?, posted)))
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let doubt = match (value::time_opt(row, "doubt_since")?, value::time_opt(row, "doubt_at")?) {
        (Some(since), Some(at)) => Some(Doubt { since, at }),
        _ => None,
    };
    Ok(Claimed {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        operation: value::named(row, "operation", Operation::from_name)?,
        about: None,
        channel: row.get("channel")?,
        route: row.get("route")?,
        lane: row.get("lane")?,
        attempt: row.get("attempt")?,
        doubt,
        on_uncertain: value::named(row, "on_uncertain", OnUncertain::from_name)?,
        is_possible_duplicate: row.get("is_possible_duplicate")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        arguments: Bytes::new(),
    })
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
        take_turn(connection, message.installation, &message.lane, &message.tenant, free.now)?;
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
