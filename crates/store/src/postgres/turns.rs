//! Turns: each tenant has a place in the queue, and a count of what waits of it. See `tautline_core::outbox`.

use std::collections::BTreeMap;

use sqlx::Row as _;
use tautline_core::{TenantId, Timestamp, limits};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::lanes::Lane;
use super::value;

/// How many messages of a tenant are queued.
pub(super) async fn waiting(tx: &mut Tx, tenant: &TenantId) -> Work<u32> {
    let waiting = sql("SELECT waiting FROM outbox_waiting WHERE tenant_id = $1").bind(tenant.to_string());
    Ok(tx.maybe(waiting, |row| value::number(row, "waiting")).await?.unwrap_or(0))
}

/// A lane that gets a turn.
pub(super) struct Turning<'m> {
    pub(super) lane: Lane,
    pub(super) tenant: &'m TenantId,
    pub(super) which: Which,
}

/// Which turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The next of its tenant.
    Next,
    /// At once, for a person waits: it is paid for like any other.
    AtOnce,
    /// The one that it has, or at once.
    Sooner,
}

/// How many more messages of a tenant wait.
pub(super) type Added<'m> = BTreeMap<&'m TenantId, i64>;

/// Counts what waits of tenants, and gives lanes their turns.
pub(super) async fn give(
    tx: &mut Tx,
    clock: &DatabaseClock,
    added: &Added<'_>,
    turning: &[Turning<'_>],
    now: Timestamp,
) -> Work<()> {
    let (now_us, quantum) = (clock.database_us(now), value::micros(limits::TURN));
    let counted = added.iter().filter(|(_, added)| **added != 0);
    let mut taken = counted.map(|(tenant, _)| (*tenant, 0)).collect::<BTreeMap<&TenantId, i64>>();
    for one in turning.iter().filter(|one| one.which != Which::Sooner) {
        *taken.entry(one.tenant).or_default() += 1;
    }
    if taken.is_empty() {
        return Ok(());
    }
    let mut next = count(tx, added, &taken, now_us, quantum).await?;
    if turning.is_empty() {
        return Ok(());
    }
    let turns = turning.iter().map(|one| match (one.which, next.get_mut(one.tenant)) {
        (Which::Sooner, _) | (_, None) => now_us,
        (which, Some(next)) => {
            let turn = std::mem::replace(next, *next + quantum);
            if which == Which::AtOnce { now_us } else { turn }
        }
    });
    let turns = turns.collect::<Vec<_>>();
    tx.execute(
        sql("UPDATE lanes l SET turn = CASE WHEN t.is_sooner THEN least(l.turn, t.turn)
               ELSE greatest(l.next_at, t.turn) END
             FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) AS t (installation_id, lane, turn, is_sooner)
             WHERE l.installation_id = t.installation_id AND l.lane = t.lane")
        .bind(turning.iter().map(|one| value::uuid(one.lane.0.as_bytes())).collect::<Vec<_>>())
        .bind(turning.iter().map(|one| value::text(&one.lane.1)).collect::<Vec<_>>())
        .bind(turns)
        .bind(turning.iter().map(|one| one.which == Which::Sooner).collect::<Vec<_>>()),
    )
    .await?;
    Ok(())
}

/// Counts what waits of each tenant, and takes so many turns of it. The first of those turns.
async fn count(
    tx: &mut Tx,
    added: &Added<'_>,
    taken: &BTreeMap<&TenantId, i64>,
    now_us: i64,
    quantum: i64,
) -> Work<BTreeMap<TenantId, i64>> {
    let counted = sql("INSERT INTO outbox_waiting AS w (tenant_id, waiting, turn_at)
         SELECT c.tenant_id, c.added, $4 + c.turns * $5
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS c (tenant_id, added, turns, nth)
         ORDER BY nth
         ON CONFLICT (tenant_id) DO UPDATE SET waiting = w.waiting + excluded.waiting,
           turn_at = CASE WHEN excluded.turn_at > $4 THEN greatest(w.turn_at, $4) + excluded.turn_at - $4
                     ELSE w.turn_at END
         RETURNING w.tenant_id, w.turn_at")
    .bind(taken.keys().map(ToString::to_string).collect::<Vec<_>>())
    .bind(taken.keys().map(|tenant| added.get(tenant).copied().unwrap_or(0)).collect::<Vec<_>>())
    .bind(taken.values().copied().collect::<Vec<_>>())
    .bind(now_us)
    .bind(quantum);
    let ends = tx.all(counted, |row| {
        Ok((value::parsed::<TenantId>(row, "tenant_id")?, row.try_get::<i64, _>("turn_at")?))
    });
    let first = |(tenant, end): (TenantId, i64)| {
        let turns = taken.get(&tenant).copied().unwrap_or(0);
        (tenant, end - turns * quantum)
    };
    Ok(ends.await?.into_iter().map(first).collect())
}

/// So many messages of tenants wait no more, each named as often.
pub(super) async fn count_off(tx: &mut Tx, tenants: Vec<String>) -> Work<()> {
    let lock = sql(
        "SELECT FROM outbox_waiting WHERE tenant_id = ANY($1) ORDER BY tenant_id COLLATE \"C\" FOR UPDATE",
    );
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
