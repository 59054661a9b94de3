//! What the dead leave behind: leases that ran out, answers nobody gave, deliveries that waited too long.

use sqlx::postgres::PgRow;
use tautline_core::delivery::{DeadReason, Reap, Reaped};
use tautline_core::kinds::Policy;
use tautline_core::schedule::{self, Next};
use tautline_core::{EndpointId, StoreResult, Timestamp, limits};
use uuid::Uuid;

use super::clock::DatabaseClock;
use super::database::{Database, Tx, sql};
use super::failure::Work;
use super::{due, inbox, value};
use crate::columns;
use crate::limits::REAP_BATCH;

pub(super) async fn reap(
    database: &Database,
    clock: &DatabaseClock,
    now: Timestamp,
    which: Reap,
) -> StoreResult<Reaped> {
    let mut reaped = Reaped::default();
    loop {
        let mut tx = database.write().await?;
        let unanswered = mark_unanswered(&mut tx, now, which).await?;
        let orphans = take_back_leases(&mut tx, clock, now, which).await?;
        let expired = end_expired(&mut tx, now).await?;
        let parts = [unanswered, orphans, expired.len(), end_removed(&mut tx).await?];
        tx.finish(()).await?;
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
async fn mark_unanswered(tx: &mut Tx, now: Timestamp, which: Reap) -> Work<usize> {
    let before = match which {
        Reap::All => now,
        Reap::RunOut => now.before(limits::LEASE),
    };
    let mark = sql("UPDATE inbox SET answer = 'unanswered' WHERE id IN (
                      SELECT id FROM inbox WHERE answer = 'waiting' AND received_at <= $1
                      ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
                    RETURNING id")
    .bind(before.as_micros())
    .bind(REAP_BATCH);
    let marked = tx.all(mark, |row| Ok(value::uuid(&value::id(row, "id")?))).await?;
    if !marked.is_empty() {
        let end = sql("UPDATE deliveries SET state = 'dead', dead_reason = $1, next_at = NULL
                       WHERE request_id = ANY($2) AND answers AND state = 'ready'")
        .bind(DeadReason::NotRepeatable.as_str())
        .bind(marked.clone());
        tx.execute(end).await?;
    }
    Ok(marked.len())
}

struct Orphan {
    delivery: Uuid,
    tenant: String,
    attempt: i64,
    leased_at: Timestamp,
    next: Next,
}

async fn take_back_leases(tx: &mut Tx, clock: &DatabaseClock, now: Timestamp, which: Reap) -> Work<usize> {
    let until = match which {
        Reap::All => i64::MAX,
        Reap::RunOut => clock.database_us(now),
    };
    let orphans = sql("SELECT d.id, d.tenant_id, d.attempt, d.leased_until, d.expires_at, i.kind
                       FROM deliveries d JOIN inbox i ON i.id = d.request_id
                       WHERE d.state = 'leased' AND d.leased_until <= $1 LIMIT $2 FOR UPDATE OF d SKIP LOCKED")
    .bind(until)
    .bind(REAP_BATCH);
    let orphans = tx.all(orphans, |row| orphan(row, clock, now)).await?;
    for orphan in &orphans {
        release(tx, orphan).await?;
    }
    Ok(orphans.len())
}

fn orphan(row: &PgRow, clock: &DatabaseClock, now: Timestamp) -> sqlx::Result<Orphan> {
    let policy = Policy::of(inbox::kind(row)?);
    let leased_until = clock.own(value::number(row, "leased_until")?);
    Ok(Orphan {
        delivery: value::uuid(&value::id(row, "id")?),
        tenant: value::read_text(row, "tenant_id")?,
        attempt: value::number(row, "attempt")?,
        leased_at: leased_until.before(limits::LEASE),
        next: schedule::after_interruption(
            &policy,
            value::number(row, "attempt")?,
            now,
            value::time(row, "expires_at")?,
        ),
    })
}

async fn release(tx: &mut Tx, orphan: &Orphan) -> Work<()> {
    let (state, next_at, dead_reason) = columns::next(&orphan.next);
    tx.execute(
        sql("UPDATE deliveries SET state = $1, next_at = $2, dead_reason = $3, leased_until = NULL WHERE id = $4")
            .bind(state.as_str())
            .bind(next_at)
            .bind(dead_reason)
            .bind(orphan.delivery),
    )
    .await?;
    tx.execute(
        sql("INSERT INTO attempts (delivery_id, number, tenant_id, started_at, outcome)
             VALUES ($1, $2, $3, $4, 'interrupted') ON CONFLICT DO NOTHING")
        .bind(orphan.delivery)
        .bind(orphan.attempt)
        .bind(orphan.tenant.clone())
        .bind(orphan.leased_at.as_micros()),
    )
    .await?;
    Ok(())
}

async fn end_expired(tx: &mut Tx, now: Timestamp) -> Work<Vec<EndpointId>> {
    let end = sql("UPDATE deliveries SET state = 'dead', dead_reason = $1, next_at = NULL
                   WHERE id IN (SELECT id FROM deliveries WHERE state = 'ready' AND expires_at <= $2
                     LIMIT $3 FOR UPDATE SKIP LOCKED)
                   RETURNING endpoint_id")
    .bind(DeadReason::Expired.as_str())
    .bind(now.as_micros())
    .bind(REAP_BATCH);
    tx.all(end, |row| value::id(row, "endpoint_id").map(EndpointId::from_bytes)).await
}

/// What waits for an endpoint that was removed.
async fn end_removed(tx: &mut Tx) -> Work<usize> {
    let mut ended = 0;
    for end in [due::END_REMOVED_FIRST, due::END_REMOVED_AGAIN] {
        ended += tx.execute(sql(end).bind(DeadReason::Removed.as_str()).bind(REAP_BATCH)).await?;
    }
    Ok(usize::try_from(ended).unwrap_or(usize::MAX))
}
