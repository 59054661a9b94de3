//! Lanes: who is next, and when. See `tautline_core::outbox` for the theory of operation.
//!
//! Whoever changes a lane and a tenant's count takes them in this order, so that nobody waits in a circle.

use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::Finished;
use tautline_core::outbox::{self, Claimed, MessageState, NewMessage, Posted};
use tautline_core::sending::{SendAttempt, SendNext};
use tautline_core::{InstallationId, MessageId, TenantId, Timestamp};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::value;

/// How many messages of a tenant are queued.
pub(super) async fn waiting(tx: &mut Tx, tenant: &TenantId) -> Work<u32> {
    let waiting = sql("SELECT waiting FROM outbox_waiting WHERE tenant_id = $1").bind(tenant.to_string());
    Ok(tx.maybe(waiting, |row| value::number(row, "waiting")).await?.unwrap_or(0))
}

/// The lane of a new message: by the channel that Slack meant by this spelling before, else by the spelling.
pub(super) async fn of(tx: &mut Tx, new: &NewMessage) -> Work<String> {
    let spelled = outbox::lane(&new.channel);
    let known = sql("SELECT lane FROM lane_names WHERE installation_id = $1 AND name = $2")
        .bind(value::uuid(new.installation.as_bytes()))
        .bind(value::text(spelled));
    let known = tx.maybe(known, |row| value::read_text(row, "lane")).await?;
    Ok(known.unwrap_or_else(|| spelled.to_owned()))
}

/// Keeps which channel Slack meant.
async fn learn(tx: &mut Tx, message: &Claimed, posted: &Posted) -> Work<()> {
    let spelled = outbox::lane(&message.channel);
    if spelled != posted.channel {
        tx.execute(
            sql("INSERT INTO lane_names (installation_id, name, lane) VALUES ($1, $2, $3)
                 ON CONFLICT (installation_id, name) DO UPDATE SET lane = excluded.lane")
            .bind(value::uuid(message.installation.as_bytes()))
            .bind(value::text(spelled))
            .bind(value::text(&posted.channel)),
        )
        .await?;
    }
    Ok(())
}

/// Puts a message at the end of its lane. An idle lane is due from now on, not from when it last was.
pub(super) async fn join(tx: &mut Tx, clock: &DatabaseClock, new: &NewMessage, lane: &str) -> Work<()> {
    tx.execute(
        sql("INSERT INTO lanes AS l (installation_id, lane, waiting, next_at) VALUES ($1, $2, 1, $3)
             ON CONFLICT (installation_id, lane) DO UPDATE SET
               next_at = CASE WHEN l.waiting = 0 THEN greatest(l.next_at, $3) ELSE l.next_at END,
               waiting = l.waiting + 1")
        .bind(value::uuid(new.installation.as_bytes()))
        .bind(value::text(lane))
        .bind(clock.database_us(new.accepted_at)),
    )
    .await?;
    tx.execute(
        sql("INSERT INTO outbox_waiting AS w (tenant_id, waiting) VALUES ($1, 1)
             ON CONFLICT (tenant_id) DO UPDATE SET waiting = w.waiting + 1")
        .bind(new.tenant.to_string()),
    )
    .await?;
    Ok(())
}

/// A queued message is queued no more (`by` = -1), or again (1).
pub(super) async fn count(tx: &mut Tx, message: &Claimed, by: i64) -> Work<()> {
    tx.execute(
        sql("UPDATE lanes SET waiting = waiting + $1 WHERE installation_id = $2 AND lane = $3")
            .bind(by)
            .bind(value::uuid(message.installation.as_bytes()))
            .bind(value::text(&message.lane)),
    )
    .await?;
    tx.execute(
        sql("UPDATE outbox_waiting SET waiting = waiting + $1 WHERE tenant_id = $2")
            .bind(by)
            .bind(message.tenant.to_string()),
    )
    .await?;
    Ok(())
}

/// Messages of several lanes are queued no more. All lanes first, and then all counts, each in their order.
pub(super) async fn count_off(tx: &mut Tx, messages: &[Claimed]) -> Work<()> {
    let installations =
        messages.iter().map(|message| value::uuid(message.installation.as_bytes())).collect::<Vec<_>>();
    let lanes = messages.iter().map(|message| value::text(&message.lane)).collect::<Vec<_>>();
    let tenants = messages.iter().map(|message| message.tenant.to_string()).collect::<Vec<_>>();
    let lock = sql(
        "SELECT FROM lanes WHERE (installation_id, lane) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
                    ORDER BY installation_id, lane FOR UPDATE",
    );
    tx.execute(lock.bind(installations.clone()).bind(lanes.clone())).await?;
    tx.execute(
        sql("UPDATE lanes l SET waiting = l.waiting - c.gone
             FROM (SELECT installation_id, lane, count(*) AS gone
                   FROM unnest($1::uuid[], $2::text[]) AS m (installation_id, lane) GROUP BY 1, 2) AS c
             WHERE l.installation_id = c.installation_id AND l.lane = c.lane")
        .bind(installations)
        .bind(lanes),
    )
    .await?;
    count_off_tenants(tx, tenants).await
}

/// One less for each time a tenant is named.
async fn count_off_tenants(tx: &mut Tx, tenants: Vec<String>) -> Work<()> {
    let lock = sql("SELECT FROM outbox_waiting WHERE tenant_id = ANY($1) ORDER BY tenant_id FOR UPDATE");
    tx.execute(lock.bind(tenants.clone())).await?;
    tx.execute(
        sql("UPDATE outbox_waiting w SET waiting = w.waiting - c.taken
             FROM (SELECT tenant_id, count(*) AS taken FROM unnest($1::text[]) AS t (tenant_id) GROUP BY 1) AS c
             WHERE w.tenant_id = c.tenant_id")
        .bind(tenants),
    )
    .await?;
    Ok(())
}

/// Whether any lane could move.
pub(super) async fn is_due(tx: &mut Tx, clock: &DatabaseClock, now: Timestamp) -> Work<bool> {
    let due =
        sql("SELECT EXISTS (SELECT FROM lanes WHERE waiting > 0 AND leased_until IS NULL AND next_at <= $1)
                     AS due")
        .bind(clock.database_us(now));
    tx.one(due, |row| row.try_get("due")).await
}

/// Takes the heads of lanes that are due and that nobody else is just taking, their arguments still sealed.
pub(super) async fn claim(
    tx: &mut Tx,
    clock: &DatabaseClock,
    now: Timestamp,
    leased_until: Timestamp,
    most: usize,
) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let heads =
        sql("SELECT m.id, m.tenant_id, m.installation_id, m.channel, m.lane, m.attempt, m.expires_at,
                       m.sealed_arguments
                     FROM (SELECT installation_id, lane, next_at FROM lanes
                           WHERE waiting > 0 AND leased_until IS NULL AND next_at <= $1
                           ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS l
                     CROSS JOIN LATERAL (
                       SELECT * FROM messages
                       WHERE installation_id = l.installation_id AND lane = l.lane AND state = 'queued'
                         AND expires_at > $3
                       ORDER BY seq LIMIT 1) AS m
                     ORDER BY l.next_at")
        .bind(clock.database_us(now))
        .bind(value::limit(most))
        .bind(now.as_micros());
    let claimed = tx.all(heads, |row| {
        let message = read(row)?;
        Ok((Claimed { attempt: message.attempt + 1, ..message }, row.try_get("sealed_arguments")?))
    });
    let heads: Vec<(Claimed, Vec<u8>)> = claimed.await?;
    let ids = heads.iter().map(|(message, _)| value::uuid(message.id.as_bytes())).collect::<Vec<_>>();
    // Somebody may have ended one since it was looked at.
    let take = sql("UPDATE messages SET state = 'sending', attempt = attempt + 1
                    WHERE id = ANY($1) AND state = 'queued' RETURNING id");
    let taken = tx.all(take.bind(ids), |row| value::id(row, "id")).await?;
    let claimed =
        heads.into_iter().filter(|(message, _)| taken.contains(message.id.as_bytes())).collect::<Vec<_>>();
    if claimed.is_empty() {
        return Ok(claimed);
    }
    let installations = claimed.iter().map(|(message, _)| value::uuid(message.installation.as_bytes()));
    let installations = installations.collect::<Vec<_>>();
    let lanes = claimed.iter().map(|(message, _)| value::text(&message.lane)).collect::<Vec<_>>();
    let tenants = claimed.iter().map(|(message, _)| message.tenant.to_string()).collect::<Vec<_>>();
    tx.execute(
        sql("UPDATE lanes l SET leased_until = $1, waiting = waiting - 1
             FROM unnest($2::uuid[], $3::text[]) AS c (installation_id, lane)
             WHERE l.installation_id = c.installation_id AND l.lane = c.lane")
        .bind(clock.database_us(leased_until))
        .bind(installations)
        .bind(lanes),
    )
    .await?;
    count_off_tenants(tx, tenants).await?;
    Ok(claimed)
}

pub(super) fn read(row: &PgRow) -> sqlx::Result<Claimed> {
    Ok(Claimed {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        channel: value::read_text(row, "channel")?,
        lane: value::read_text(row, "lane")?,
        attempt: value::number(row, "attempt")?,
        expires_at: value::time(row, "expires_at")?,
        arguments: Bytes::new(),
    })
}

/// Frees a lane, to move again at a time.
async fn free(tx: &mut Tx, clock: &DatabaseClock, message: &Claimed, next_at: Timestamp) -> Work<()> {
    tx.execute(
        sql("UPDATE lanes SET leased_until = NULL, next_at = $1 WHERE installation_id = $2 AND lane = $3")
            .bind(clock.database_us(next_at))
            .bind(value::uuid(message.installation.as_bytes()))
            .bind(value::text(&message.lane)),
    )
    .await?;
    Ok(())
}

/// Puts an attempt on record, and what follows it.
pub(super) async fn settle(
    tx: &mut Tx,
    clock: &DatabaseClock,
    message: &Claimed,
    attempt: &SendAttempt,
    posted: Option<&Posted>,
    next: SendNext,
) -> Work<Finished> {
    let (state, lane_at) = match next {
        SendNext::Settled { state, lane_at } => (state, lane_at),
        SendNext::Again { at } => (MessageState::Queued, at),
    };
    if let Some(posted) = posted {
        learn(tx, message, posted).await?;
    }
    if becomes(tx, message, attempt, posted, state, MessageState::Sending).await? {
        free(tx, clock, message, lane_at).await?;
        if state == MessageState::Queued {
            count(tx, message, 1).await?;
        }
        return Ok(Finished::Recorded);
    }
    // The lease ran out and the lane has moved on; but what Slack surely said is still worth knowing.
    let is_sure = matches!(state, MessageState::Sent | MessageState::Failed);
    if is_sure && becomes(tx, message, attempt, posted, state, MessageState::Uncertain).await? {
        return Ok(Finished::Recorded);
    }
    Ok(Finished::Fenced)
}

/// Moves a message on from where this very attempt left it, and records the attempt.
async fn becomes(
    tx: &mut Tx,
    message: &Claimed,
    attempt: &SendAttempt,
    posted: Option<&Posted>,
    state: MessageState,
    from: MessageState,
) -> Work<bool> {
    let changed = sql("UPDATE messages SET state = $1, error = $2, posted_channel = $3, ts = $4
                       WHERE id = $5 AND tenant_id = $6 AND state = $7 AND attempt = $8")
    .bind(state.as_str())
    .bind(value::text_opt(attempt.error.as_deref()))
    .bind(value::text_opt(posted.map(|posted| posted.channel.as_str())))
    .bind(value::text_opt(posted.map(|posted| posted.ts.as_str())))
    .bind(value::uuid(message.id.as_bytes()))
    .bind(message.tenant.to_string())
    .bind(from.as_str())
    .bind(i64::from(message.attempt));
    if tx.execute(changed).await? == 0 {
        return Ok(false);
    }
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
    Ok(true)
}

/// Puts back what was taken and cannot be used; the attempt that was not made is not counted.
pub(super) async fn put_back(
    tx: &mut Tx,
    clock: &DatabaseClock,
    message: &Claimed,
    next_at: Timestamp,
) -> Work<()> {
    let back = sql("UPDATE messages SET state = 'queued', attempt = attempt - 1
                    WHERE id = $1 AND state = 'sending' AND attempt = $2")
    .bind(value::uuid(message.id.as_bytes()))
    .bind(i64::from(message.attempt));
    if tx.execute(back).await? == 1 {
        free(tx, clock, message, next_at).await?;
        count(tx, message, 1).await?;
    }
    Ok(())
}
