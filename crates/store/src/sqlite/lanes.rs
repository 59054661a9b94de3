//! Lanes: who is next, and when. See `tautline_core::outbox` for the theory of operation.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::delivery::Finished;
use tautline_core::outbox::{self, Claimed, MessageState, NewMessage, Posted};
use tautline_core::sending::{SendAttempt, SendNext};
use tautline_core::{InstallationId, MessageId, TenantId, Timestamp};

use super::value;

/// How many messages of a tenant are queued.
pub(super) fn waiting(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<u32> {
    let waiting = connection
        .prepare_cached("SELECT waiting FROM outbox_waiting WHERE tenant_id = ?")?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?;
    Ok(waiting.unwrap_or(0))
}

/// The lane of a new message: by the channel that Slack meant by this spelling before, else by the spelling.
pub(super) fn of(connection: &Connection, new: &NewMessage) -> rusqlite::Result<String> {
    let spelled = outbox::lane(&new.channel);
    let known = connection
        .prepare_cached("SELECT lane FROM lane_names WHERE installation_id = ? AND name = ?")?
        .query_row(params![new.installation.as_bytes(), spelled], |row| row.get(0))
        .optional()?;
    Ok(known.unwrap_or_else(|| spelled.to_owned()))
}

/// Keeps which channel Slack meant.
fn learn(connection: &Connection, message: &Claimed, posted: &Posted) -> rusqlite::Result<()> {
    let spelled = outbox::lane(&message.channel);
    if spelled != posted.channel {
        connection
            .prepare_cached(
                "INSERT INTO lane_names (installation_id, name, lane) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET lane = excluded.lane",
            )?
            .execute(params![message.installation.as_bytes(), spelled, posted.channel])?;
    }
    Ok(())
}

/// Puts a message at the end of its lane. An idle lane is due from now on, not from when it last was.
pub(super) fn join(connection: &Connection, new: &NewMessage, lane: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO lanes (installation_id, lane, waiting, next_at) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT DO UPDATE SET
               next_at = CASE WHEN waiting = 0 THEN max(next_at, ?3) ELSE next_at END, waiting = waiting + 1",
        )?
        .execute(params![new.installation.as_bytes(), lane, new.accepted_at.as_micros()])?;
    connection
        .prepare_cached(
            "INSERT INTO outbox_waiting (tenant_id, waiting) VALUES (?, 1)
             ON CONFLICT DO UPDATE SET waiting = waiting + 1",
        )?
        .execute([new.tenant.as_str()])?;
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

/// Whether any lane could move.
pub(super) fn is_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lanes WHERE waiting > 0 AND leased_until IS NULL AND next_at <= ?)",
        )?
        .query_row([now.as_micros()], |row| row.get(0))
}

/// Takes the heads of lanes that are due, their arguments still sealed.
pub(super) fn claim(
    connection: &Connection,
    now: Timestamp,
    leased_until: Timestamp,
    most: usize,
) -> rusqlite::Result<Vec<(Claimed, Vec<u8>)>> {
    let due = connection
        .prepare_cached(
            "SELECT installation_id, lane FROM lanes
             WHERE waiting > 0 AND leased_until IS NULL AND next_at <= ? ORDER BY next_at LIMIT ?",
        )?
        .query_map(params![now.as_micros(), i64::try_from(most).unwrap_or(i64::MAX)], |row| {
            Ok((value::id(row, 0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<([u8; 16], String)>>>()?;
    let mut head = connection.prepare_cached(
        "SELECT id, tenant_id, installation_id, channel, lane, attempt, expires_at, sealed_arguments FROM messages
         WHERE installation_id = ? AND lane = ? AND state = 'queued' AND expires_at > ? ORDER BY seq LIMIT 1",
    )?;
    let mut claimed = Vec::new();
    for (installation, lane) in due {
        let found = head.query_row(params![installation, lane, now.as_micros()], |row| {
            Ok((
                Claimed { attempt: row.get::<_, u32>("attempt")? + 1, ..read(row)? },
                row.get("sealed_arguments")?,
            ))
        });
        let Some((message, sealed)) = found.optional()? else { continue };
        connection
            .prepare_cached("UPDATE messages SET state = 'sending', attempt = ? WHERE id = ?")?
            .execute(params![message.attempt, message.id.as_bytes()])?;
        connection
            .prepare_cached("UPDATE lanes SET leased_until = ? WHERE installation_id = ? AND lane = ?")?
            .execute(params![leased_until.as_micros(), installation, lane])?;
        count(connection, &message, -1)?;
        claimed.push((message, sealed));
    }
    Ok(claimed)
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    Ok(Claimed {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        channel: row.get("channel")?,
        lane: row.get("lane")?,
        attempt: row.get("attempt")?,
        expires_at: value::time(row, "expires_at")?,
        arguments: Bytes::new(),
    })
}

/// Frees a lane, to move again at a time.
fn free(connection: &Connection, message: &Claimed, next_at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE lanes SET leased_until = NULL, next_at = ? WHERE installation_id = ? AND lane = ?",
        )?
        .execute(params![next_at.as_micros(), message.installation.as_bytes(), message.lane])?;
    Ok(())
}

/// Puts an attempt on record, and what follows it.
pub(super) fn settle(
    connection: &Connection,
    message: &Claimed,
    attempt: &SendAttempt,
    posted: Option<&Posted>,
    next: SendNext,
) -> rusqlite::Result<Finished> {
    let (state, lane_at) = match next {
        SendNext::Settled { state, lane_at } => (state, lane_at),
        SendNext::Again { at } => (MessageState::Queued, at),
    };
    if let Some(posted) = posted {
        learn(connection, message, posted)?;
    }
    if becomes(connection, message, attempt, posted, state, MessageState::Sending)? {
        if state == MessageState::Queued {
            count(connection, message, 1)?;
        }
        free(connection, message, lane_at)?;
        return Ok(Finished::Recorded);
    }
    // The lease ran out and the lane has moved on; but what Slack surely said is still worth knowing.
    let is_sure = matches!(state, MessageState::Sent | MessageState::Failed);
    if is_sure && becomes(connection, message, attempt, posted, state, MessageState::Uncertain)? {
        return Ok(Finished::Recorded);
    }
    Ok(Finished::Fenced)
}

/// Moves a message on from where this very attempt left it, and records the attempt.
fn becomes(
    connection: &Connection,
    message: &Claimed,
    attempt: &SendAttempt,
    posted: Option<&Posted>,
    state: MessageState,
    from: MessageState,
) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET state = ?, error = ?, posted_channel = ?, ts = ?
             WHERE id = ? AND tenant_id = ? AND state = ? AND attempt = ?",
        )?
        .execute(params![
            state.as_str(),
            attempt.error,
            posted.map(|posted| &posted.channel),
            posted.map(|posted| &posted.ts),
            message.id.as_bytes(),
            message.tenant.as_str(),
            from.as_str(),
            message.attempt,
        ])?;
    if changed == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO message_attempts (message_id, number, started_at, duration_us, outcome, error)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            message.id.as_bytes(),
            attempt.number,
            attempt.started_at.as_micros(),
            attempt.duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
            attempt.outcome.as_str(),
            attempt.error,
        ])?;
    Ok(true)
}

/// Puts back what was taken and cannot be used; the attempt that was not made is not counted.
pub(super) fn put_back(
    connection: &Connection,
    message: &Claimed,
    next_at: Timestamp,
) -> rusqlite::Result<()> {
    let back = connection
        .prepare_cached(
            "UPDATE messages SET state = 'queued', attempt = attempt - 1
             WHERE id = ? AND state = 'sending' AND attempt = ?",
        )?
        .execute(params![message.id.as_bytes(), message.attempt])?;
    if back == 1 {
        count(connection, message, 1)?;
        free(connection, message, next_at)?;
    }
    Ok(())
}
