//! What became of claimed messages, put on record: what is plain, for many at once in a few statements.

use std::collections::HashSet;
use std::sync::Arc;

use tautline_core::Timestamp;
use tautline_core::delivery::Finished;
use tautline_core::outbox::{Claimed, MessageState};
use tautline_core::sending::{SendAttempt, SendNext};
use tautline_core::settlement::Settlement;

use super::clock::DatabaseClock;
use super::database::{Sql, Tx, sql};
use super::failure::Work;
use super::group::Together;
use super::lanes::{self, Free, count_again, count_off, free};
use super::{paces, value};

/// A message, and what became of it.
pub(super) struct Settle {
    pub(super) claimed: Claimed,
    pub(super) settlement: Settlement,
}

impl Settle {
    /// Whether it only comes to its end, and its lane moves on.
    fn is_plain(&self) -> bool {
        let Settle { claimed, settlement } = self;
        let is_news = settlement.posted.as_ref().is_some_and(|posted| claimed.is_news(posted));
        matches!(settlement.next, SendNext::Settled { .. }) && settlement.limited_until.is_none() && !is_news
    }
}

pub(super) struct Settling {
    pub(super) clock: Arc<DatabaseClock>,
}

impl Together for Settling {
    type Item = Settle;
    type Outcome = Finished;

    async fn run(&self, tx: &mut Tx, all: &[Arc<Settle>]) -> Work<Vec<Finished>> {
        let plain = all.iter().map(AsRef::as_ref).filter(|one: &&Settle| one.is_plain()).collect::<Vec<_>>();
        let ended = if plain.is_empty() { HashSet::new() } else { self.end(tx, &plain).await? };
        let mut outcomes = Vec::with_capacity(all.len());
        for one in all {
            outcomes.push(if one.is_plain() && ended.contains(one.claimed.id.as_bytes()) {
                Finished::Recorded
            } else {
                settle(tx, &self.clock, &one.claimed, &one.settlement).await?
            });
        }
        Ok(outcomes)
    }
}

impl Settling {
    /// Ends those that are still on their way. Their ids.
    async fn end(&self, tx: &mut Tx, plain: &[&Settle]) -> Work<HashSet<[u8; 16]>> {
        let ended = tx.all(end(plain), |row| value::id(row, "id")).await?.into_iter().collect::<HashSet<_>>();
        let plain = plain.iter().filter(|one| ended.contains(one.claimed.id.as_bytes())).collect::<Vec<_>>();
        if plain.is_empty() {
            return Ok(ended);
        }
        tx.execute(record_all(&plain)).await?;
        let lanes = plain.iter().map(|one| lanes::key(&one.claimed)).collect::<Vec<_>>();
        let held = lanes::hold(tx, &self.clock, &lanes).await?;
        let free = plain.iter().zip(&lanes).map(|(one, lane)| {
            let free_at = held.get(lane).copied().unwrap_or_default();
            Free { message: &one.claimed, next_at: one.settlement.lane_at(free_at), is_parked: false }
        });
        let now = plain.iter().map(|one| one.settlement.ended_at).max().unwrap_or_default();
        lanes::free(tx, &self.clock, &free.collect::<Vec<_>>(), now).await?;
        Ok(ended)
    }
}

fn end(plain: &[&Settle]) -> Sql {
    macro_rules! column {
        ($one:ident => $value:expr) => {
            plain.iter().map(|$one| $value).collect::<Vec<_>>()
        };
    }
    let posted = |one: &&Settle| one.settlement.posted.clone();
    sql("UPDATE messages m SET state = s.state, error = s.error, posted_channel = s.posted_channel, ts = s.ts,
           doubt_since = NULL, doubt_at = NULL
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
           AS s (id, tenant_id, attempt, state, error, posted_channel, ts)
         WHERE m.id = s.id AND m.tenant_id = s.tenant_id AND m.attempt = s.attempt AND m.state = 'sending'
         RETURNING m.id")
    .bind(column!(one => value::uuid(one.claimed.id.as_bytes())))
    .bind(column!(one => one.claimed.tenant.to_string()))
    .bind(column!(one => i64::from(one.claimed.attempt)))
    .bind(column!(one => one.settlement.state().as_str()))
    .bind(column!(one => value::text_opt(one.settlement.attempt.error.as_deref())))
    .bind(column!(one => posted(one).map(|posted| value::text(&posted.channel))))
    .bind(column!(one => posted(one).map(|posted| value::text(&posted.ts))))
}

fn record_all(plain: &[&&Settle]) -> Sql {
    macro_rules! column {
        ($one:ident => $value:expr) => {
            plain.iter().map(|$one| $value).collect::<Vec<_>>()
        };
    }
    sql("INSERT INTO message_attempts (message_id, number, started_at, duration_us, outcome, error)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])
         ON CONFLICT (message_id, number) DO UPDATE SET started_at = excluded.started_at,
           duration_us = excluded.duration_us, outcome = excluded.outcome, error = excluded.error")
    .bind(column!(one => value::uuid(one.claimed.id.as_bytes())))
    .bind(column!(one => i64::from(one.settlement.attempt.number)))
    .bind(column!(one => one.settlement.attempt.started_at.as_micros()))
    .bind(column!(one => one.settlement.attempt.duration.map(value::micros)))
    .bind(column!(one => one.settlement.attempt.outcome.as_str()))
    .bind(column!(one => value::text_opt(one.settlement.attempt.error.as_deref())))
}

/// Puts an attempt on record, and what follows it.
pub(super) async fn settle(
    tx: &mut Tx,
    clock: &DatabaseClock,
    message: &Claimed,
    settlement: &Settlement,
) -> Work<Finished> {
    let now = settlement.ended_at;
    let mut lanes = vec![lanes::key(message)];
    if let Some(posted) = &settlement.posted
        && message.is_news(posted)
    {
        lanes::learn(tx, message, posted).await?;
        lanes.push((message.installation, posted.channel.clone()));
    }
    if becomes(tx, message, settlement, MessageState::Sending).await? {
        // Where it was posted counts for that channel's pace, from whichever lane it came.
        if let [own, channel] = &lanes[..] {
            if own < channel {
                lanes::hold(tx, clock, std::slice::from_ref(own)).await?;
            }
            lanes::make(tx, clock, channel, now).await?;
        }
        let held = lanes::hold(tx, clock, &lanes).await?;
        let free_at = held.get(&lanes[0]).copied();
        if let Some(until) = settlement.limited_until {
            let method = message.operation.method();
            paces::rest(tx, clock, (message.installation, method), &message.lane, until, now).await?;
        }
        if settlement.state().waits() {
            count_again(tx, message).await?;
        }
        let is_parked = matches!(settlement.next, SendNext::Again { .. });
        let next_at = settlement.lane_at(free_at.unwrap_or_default());
        let channel = lanes[1..].iter().map(|channel| (channel.clone(), next_at));
        lanes::rest(tx, clock, &channel.collect::<Vec<_>>()).await?;
        free(tx, clock, &[Free { message, next_at, is_parked }], now).await?;
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
           doubt_at = $6
         WHERE id = $7 AND tenant_id = $8 AND state = $9 AND attempt = $10
           AND (state = 'sending' OR doubt_since IS NOT NULL)")
        .bind(settlement.state().as_str())
        .bind(value::text_opt(attempt.error.as_deref()))
        .bind(value::text_opt(posted.map(|posted| posted.channel.as_str())))
        .bind(value::text_opt(posted.map(|posted| posted.ts.as_str())))
        .bind(doubt.map(|doubt| doubt.since.as_micros()))
        .bind(doubt.map(|doubt| doubt.at.as_micros()))
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
        free(tx, clock, &[Free { message, next_at, is_parked: true }], now).await?;
    }
    Ok(())
}
