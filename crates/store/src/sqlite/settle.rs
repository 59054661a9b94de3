//! What became of a claimed message, put on record.

use rusqlite::{Connection, params};
use tautline_core::Timestamp;
use tautline_core::delivery::Finished;
use tautline_core::outbox::{Claimed, MessageState};
use tautline_core::sending::{SendAttempt, SendNext};
use tautline_core::settlement::Settlement;

use super::lanes::{self, Free, count, free};
use super::paces;

/// Puts an attempt on record, and what follows it.
pub(super) fn settle(
    connection: &Connection,
    message: &Claimed,
    settlement: &Settlement,
) -> rusqlite::Result<Finished> {
    let now = settlement.ended_at;
    let news = settlement.posted.as_ref().filter(|posted| message.is_news(posted));
    if let Some(posted) = news {
        lanes::learn(connection, message, posted)?;
    }
    if becomes(connection, message, settlement, MessageState::Sending)? {
        if let Some(until) = settlement.limited_until {
            let method = message.operation.method();
            paces::rest(connection, (message.installation, method), &message.lane, until, now)?;
        }
        let free_at =
            lanes::next_at(connection, message.installation, &message.lane)?.unwrap_or(Timestamp::default());
        if settlement.state().waits() {
            count(connection, message, 1)?;
        }
        let is_parked = matches!(settlement.next, SendNext::Again { .. });
        let next_at = settlement.lane_at(free_at);
        // Where it was posted counts for that channel's pace, from whichever lane it came.
        if let Some(posted) = news {
            lanes::used(connection, message.installation, &posted.channel, next_at)?;
        }
        free(connection, message, &Free { next_at, is_parked, now })?;
        return Ok(Finished::Recorded);
    }
    // The lease ran out and the lane has moved on; but what Slack surely said is still worth knowing.
    let is_sure = matches!(settlement.state(), MessageState::Sent | MessageState::Failed);
    if is_sure && becomes(connection, message, settlement, MessageState::Uncertain)? {
        count(connection, message, -1)?;
        return Ok(Finished::Recorded);
    }
    Ok(Finished::Fenced)
}

/// Moves a message on from where this very attempt left it, and records the attempt.
fn becomes(
    connection: &Connection,
    message: &Claimed,
    settlement: &Settlement,
    from: MessageState,
) -> rusqlite::Result<bool> {
    let (attempt, posted) = (&settlement.attempt, settlement.posted.as_ref());
    let doubt = settlement.doubt(message);
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET state = ?, error = ?, posted_channel = ?, ts = ?, doubt_since = ?, doubt_at = ?
             WHERE id = ? AND tenant_id = ? AND state = ? AND attempt = ?
               AND (state = 'sending' OR doubt_since IS NOT NULL)",
        )?
        .execute(params![
            settlement.state().as_str(),
            attempt.error,
            posted.map(|posted| &posted.channel),
            posted.map(|posted| &posted.ts),
            doubt.map(|doubt| doubt.since.as_micros()),
            doubt.map(|doubt| doubt.at.as_micros()),
            message.id.as_bytes(),
            message.tenant.as_str(),
            from.as_str(),
            message.attempt,
        ])?;
    if changed == 0 {
        return Ok(false);
    }
    record(connection, message, attempt)?;
    Ok(true)
}

fn record(connection: &Connection, message: &Claimed, attempt: &SendAttempt) -> rusqlite::Result<()> {
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
    Ok(())
}

/// Puts back what was taken and cannot be used; the attempt that was not made is not counted.
pub(super) fn put_back(
    connection: &Connection,
    message: &Claimed,
    next_at: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let back = connection
        .prepare_cached(
            "UPDATE messages SET state = CASE WHEN doubt_since IS NULL THEN 'queued' ELSE 'uncertain' END,
               attempt = attempt - 1
             WHERE id = ? AND state = 'sending' AND attempt = ?",
        )?
        .execute(params![message.id.as_bytes(), message.attempt])?;
    if back == 1 {
        count(connection, message, 1)?;
        free(connection, message, &Free { next_at, is_parked: true, now })?;
    }
    Ok(())
}
