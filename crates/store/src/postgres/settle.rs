//! What became of a claimed message, put on record.

use tautline_core::Timestamp;
use tautline_core::delivery::Finished;
use tautline_core::outbox::{Claimed, MessageState, Settlement};
use tautline_core::sending::{SendAttempt, SendNext};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::lanes::{self, Free, count_again, count_off, free};
use super::{paces, value};

/// Puts an attempt on record, and what follows it.
pub(super) async fn settle(
    tx: &mut Tx,
    clock: &DatabaseClock,
    message: &Claimed,
    settlement: &Settlement,
) -> Work<Finished> {
    let now = settlement.ended_at();
    if let Some(posted) = &settlement.posted {
        lanes::learn(tx, message, posted).await?;
    }
    if becomes(tx, message, settlement, MessageState::Sending).await? {
        let free_at = lanes::next_at(tx, clock, message.installation, &message.lane).await?;
        if let Some(until) = settlement.limited_until {
            let method = message.operation.method();
            let call = (message.installation, method);
            let mut windows = paces::lock(tx, clock, &[call]).await?;
            windows.entry(call).or_default().limited(method, &message.lane, until, now);
            paces::keep(tx, clock, &windows).await?;
        }
        if settlement.state().waits() {
            count_again(tx, message).await?;
        }
        let is_parked = matches!(settlement.next, SendNext::Again { .. });
        let next_at = settlement.lane_at(free_at.unwrap_or_default());
        free(tx, clock, message, &Free { next_at, is_parked, now }).await?;
        return Ok(Finished::Recorded);
    }
    // The lease ran out and the lane has moved on; but what Slack surely said is still worth knowing.
    let is_sure = matches!(settlement.state(), MessageState::Sent | MessageState::Failed);
    if is_sure && becomes(tx, message, settlement, MessageState::Uncertain).await? {
        count_off(tx, std::slice::from_ref(message)).await?;
        return Ok(Finished::Recorded);
    }
    Ok(Finished::Fenced)
}

/// Moves a message on from where this very attempt left it, and records the attempt.
async fn becomes(tx: &mut Tx, message: &Claimed, settlement: &Settlement, from: MessageState) -> Work<bool> {
    let (attempt, posted) = (&settlement.attempt, settlement.posted.as_ref());
    let doubt = settlement.doubt(message);
    let changed =
        sql("UPDATE messages SET state = $1, error = $2, posted_channel = $3, ts = $4, doubt_since = $5,
           doubt_at = $6, is_possible_duplicate = is_possible_duplicate OR $7
         WHERE id = $8 AND tenant_id = $9 AND state = $10 AND attempt = $11")
        .bind(settlement.state().as_str())
        .bind(value::text_opt(attempt.error.as_deref()))
        .bind(value::text_opt(posted.map(|posted| posted.channel.as_str())))
        .bind(value::text_opt(posted.map(|posted| posted.ts.as_str())))
        .bind(doubt.map(|doubt| doubt.since.as_micros()))
        .bind(doubt.map(|doubt| doubt.at.as_micros()))
        .bind(settlement.is_possible_duplicate)
        .bind(value::uuid(message.id.as_bytes()))
        .bind(message.tenant.to_string())
        .bind(from.as_str())
        .bind(i64::from(message.attempt));
    if tx.execute(changed).await? == 0 {
        return Ok(false);
    }
    record(tx, message, attempt).await?;
    Ok(true)
}

async fn record(tx: &mut Tx, message: &Claimed, attempt: &SendAttempt) -> Work<()> {
    tx.execute(
        sql("INSERT INTO message_attempts (message_id, number, started_at, duration_us, outcome, error)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (message_id, number) DO UPDATE SET started_at = excluded.started_at,
               duration_us = excluded.duration_us, outcome = excluded.outcome, error = excluded.error")
        .bind(value::uuid(message.id.as_bytes()))
        .bind(i64::from(attempt.number))
        .bind(attempt.started_at.as_micros())
        .bind(attempt.duration.map(value::micros))
        .bind(attempt.outcome.as_str())
        .bind(value::text_opt(attempt.error.as_deref())),
    )
    .await?;
    Ok(())
}

/// Puts back what was taken and cannot be used; the attempt that was not made is not counted.
pub(super) async fn put_back(
    tx: &mut Tx,
    clock: &DatabaseClock,
    message: &Claimed,
    next_at: Timestamp,
    now: Timestamp,
) -> Work<()> {
    let back =
        sql("UPDATE messages SET state = CASE WHEN doubt_since IS NULL THEN 'queued' ELSE 'uncertain' END,
                      attempt = attempt - 1
                    WHERE id = $1 AND state = 'sending' AND attempt = $2")
        .bind(value::uuid(message.id.as_bytes()))
        .bind(i64::from(message.attempt));
    if tx.execute(back).await? == 1 {
        count_again(tx, message).await?;
        free(tx, clock, message, &Free { next_at, is_parked: true, now }).await?;
    }
    Ok(())
}
