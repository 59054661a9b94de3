//! Deliveries: taken, looked at, given up. How they end is in `finish.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::{
    Attempt, DeadReason, Deliveries, Delivery, DeliveryFilter, DeliveryState, Finished, Leased, Listed,
    Places, Reap, Reaped, Revival,
};
use tautline_core::inbox::Revive;
use tautline_core::schedule::Next;
use tautline_core::{
    DeliveryId, EndpointId, Page, PageRequest, RequestId, StoreResult, TenantId, Timestamp, Vault,
};
use uuid::Uuid;

use super::database::{Tx, sql};
use super::failure::Work;
use super::finish::Finish;
use super::{PostgresStore, attempts, due, inbox, listed, reap, value};
use crate::limits::REAP_BATCH;
use crate::sealed;

/// What may be made again, of the table `deliveries` under the name `d`; the parameters are whether all of it, and the
/// reason of what is not.
macro_rules! revivable {
    () => {
        "d.state = 'dead' AND ($1 OR d.dead_reason <> $2)
         AND EXISTS (SELECT FROM inbox i WHERE i.id = d.request_id AND i.sealed_body <> '')
         AND d.endpoint_id NOT IN (SELECT e.id FROM endpoints e WHERE e.is_removed)"
    };
}
pub(super) use revivable;

#[async_trait]
impl Deliveries for PostgresStore {
    async fn delivery_lease(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        places: &[Places],
    ) -> StoreResult<Vec<Leased>> {
        let mut tx = self.database.write().await?;
        let mut taken = Vec::new();
        for Places { endpoint, first, again } in places {
            for (lease, most) in [(due::LEASE_FIRST, *first), (due::LEASE_AGAIN, *again)] {
                if most > 0 {
                    taken.extend(self.lease(&mut tx, lease, now, leased_until, *endpoint, most).await?);
                }
            }
        }
        tx.finish(()).await?;
        let (opened, shut) = sealed::open_leased(self.vault.as_ref(), taken);
        if !shut.is_empty() {
            let mut tx = self.database.write().await?;
            put_back(&mut tx, leased_until, &shut).await?;
            tx.finish(()).await?;
        }
        Ok(opened)
    }

    async fn delivery_due(&self, now: Timestamp, places: &[Places]) -> StoreResult<Vec<Places>> {
        let mut tx = self.database.read().await?;
        let each = |most: fn(&Places) -> usize| places.iter().map(most).map(value::limit).collect::<Vec<_>>();
        let count = sql(due::COUNT)
            .bind(places.iter().map(|of| value::uuid(of.endpoint.as_bytes())).collect::<Vec<_>>())
            .bind(now.as_micros())
            .bind(each(|of| of.first))
            .bind(each(|of| of.again));
        let due = tx.all(count, |row| {
            Ok(Places {
                endpoint: EndpointId::from_bytes(value::id(row, "endpoint_id")?),
                first: value::number(row, "first")?,
                again: value::number(row, "again")?,
            })
        });
        let due = due.await?;
        tx.finish(due).await
    }

    async fn delivery_oldest(&self, endpoints: &[EndpointId]) -> StoreResult<Option<Timestamp>> {
        let mut tx = self.lists.read().await?;
        let ids = endpoints.iter().map(|endpoint| value::uuid(endpoint.as_bytes())).collect::<Vec<_>>();
        let oldest = tx.one(sql(due::OLDEST).bind(ids), |row| value::time_opt(row, "next_at")).await?;
        tx.finish(oldest).await
    }

    async fn delivery_finish(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        attempt: &Attempt,
        next: &Next,
    ) -> StoreResult<Finished> {
        let finish = Finish::new(self.vault.as_ref(), tenant, delivery, attempt, next);
        self.finishing.ask(finish).await
    }

    async fn delivery_reap(&self, now: Timestamp, which: Reap) -> StoreResult<Reaped> {
        reap::reap(&self.database, &self.clock, now, which).await
    }

    async fn delivery_hasten(&self, endpoint: EndpointId, now: Timestamp) -> StoreResult<u64> {
        let mut tx = self.database.write().await?;
        let hasten = sql("UPDATE deliveries d SET next_at = $1 FROM (
                            SELECT id FROM deliveries WHERE endpoint_id = $2 AND state = 'ready' AND attempt > 0
                              AND next_at > $1 ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS waiting
                          WHERE d.id = waiting.id")
        .bind(now.as_micros())
        .bind(value::uuid(endpoint.as_bytes()))
        .bind(REAP_BATCH);
        let hastened = tx.execute(hasten).await?;
        tx.finish(hastened).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter, page: PageRequest) -> StoreResult<Page<Listed>> {
        let mut tx = self.lists.read().await?;
        let found = listed::list(&mut tx, filter, page).await?;
        tx.finish(found).await
    }

    async fn delivery_revive(
        &self,
        which: Revive,
        now: Timestamp,
        deliveries: Vec<Revival>,
    ) -> StoreResult<u64> {
        let mut tx = self.database.write().await?;
        let revive = sql(concat!(
            "WITH revived AS (
               UPDATE deliveries d SET state = 'ready', next_at = $3, turn = r.turn, dead_reason = NULL,
                 expires_at = r.expires_at
               FROM unnest($4::uuid[], $5::text[], $6::bigint[], $7::bigint[]) AS r (id, tenant_id, expires_at, turn)
               WHERE d.id = r.id AND d.tenant_id = r.tenant_id AND ",
            revivable!(),
            " RETURNING d.request_id, d.expires_at),
             prolonged AS (
               UPDATE inbox i SET expires_at = greatest(i.expires_at, r.expires_at)
               FROM (SELECT request_id, max(expires_at) AS expires_at FROM revived GROUP BY 1) r
               WHERE i.id = r.request_id)
             SELECT count(*) AS revived FROM revived"
        ))
        .bind(which == Revive::All)
        .bind(DeadReason::NotRepeatable.as_str())
        .bind(now.as_micros())
        .bind(deliveries.iter().map(|revival| value::uuid(revival.id.as_bytes())).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|revival| revival.tenant.to_string()).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|revival| revival.expires_at.as_micros()).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|revival| revival.turn.as_micros()).collect::<Vec<_>>());
        let revived = tx.one(revive, |row| value::number(row, "revived")).await?;
        tx.finish(revived).await
    }
}

impl PostgresStore {
    /// Takes what is due and nobody else is just taking, with the request, its body still sealed.
    async fn lease(
        &self,
        tx: &mut Tx,
        lease: &'static str,
        now: Timestamp,
        leased_until: Timestamp,
        endpoint: EndpointId,
        most: usize,
    ) -> Work<Vec<(Leased, Vec<u8>)>> {
        let lease = sql(lease)
            .bind(value::uuid(endpoint.as_bytes()))
            .bind(now.as_micros())
            .bind(value::limit(most))
            .bind(self.clock.database_us(leased_until));
        let read = |row: &PgRow| {
            let due_at = value::time(row, "was_due")?;
            let leased = Leased {
                id: DeliveryId::from_bytes(value::id(row, "delivery_id")?),
                endpoint,
                answers: row.try_get("answers")?,
                attempt: value::number(row, "attempt")?,
                due_at,
                leased_until,
                request: Arc::new(inbox::read(row)?),
            };
            Ok((value::time(row, "turn")?, leased, row.try_get("sealed_body")?))
        };
        let mut taken = tx.all(lease, read).await?;
        // What an UPDATE returns has no order.
        taken.sort_by_key(|(turn, leased, _)| (*turn, leased.due_at, leased.id));
        Ok(taken.into_iter().map(|(_, leased, sealed)| (leased, sealed)).collect())
    }
}

/// Ends what was not begun for a request that nobody waits for any more.
pub(super) async fn give_up(tx: &mut Tx, tenant: &TenantId, request: RequestId) -> Work<u64> {
    let end =
        sql("UPDATE deliveries SET state = 'dead', dead_reason = $1, next_at = NULL, leased_until = NULL
                   WHERE request_id = $2 AND tenant_id = $3 AND state IN ('ready', 'leased')")
        .bind(DeadReason::NotRepeatable.as_str())
        .bind(value::uuid(request.as_bytes()))
        .bind(tenant.to_string());
    tx.execute(end).await
}

/// The deliveries of some requests with their attempts; the answers only with a vault to open them.
pub(super) async fn of(
    tx: &mut Tx,
    requests: &[RequestId],
    vault: Option<&dyn Vault>,
) -> Work<HashMap<RequestId, Vec<Delivery>>> {
    let ids = requests.iter().map(|id| value::uuid(id.as_bytes())).collect::<Vec<Uuid>>();
    let found = sql("SELECT id, tenant_id, request_id, endpoint_id, answers, state, next_at, dead_reason
                     FROM deliveries WHERE request_id = ANY($1) ORDER BY answers DESC, id")
    .bind(ids);
    let deliveries = tx.all(found, read).await?;
    let mut attempts = attempts::of(tx, &deliveries, vault).await?;
    let mut by_request = HashMap::<RequestId, Vec<Delivery>>::new();
    for (_, mut delivery) in deliveries {
        delivery.attempts = attempts.remove(&delivery.id).unwrap_or_default();
        by_request.entry(delivery.request).or_default().push(delivery);
    }
    Ok(by_request)
}

/// Puts back what was taken and cannot be used, behind what can; the attempt that was not made is not counted.
async fn put_back(tx: &mut Tx, next_at: Timestamp, taken: &[(DeliveryId, u32)]) -> Work<()> {
    for (id, attempt) in taken {
        tx.execute(
            sql("UPDATE deliveries SET state = 'ready', attempt = attempt - 1, next_at = $1, turn = $1, leased_until = NULL
                 WHERE id = $2 AND state = 'leased' AND attempt = $3")
            .bind(next_at.as_micros())
            .bind(value::uuid(id.as_bytes()))
            .bind(i64::from(*attempt)),
        )
        .await?;
    }
    Ok(())
}

pub(super) fn read(row: &PgRow) -> sqlx::Result<(TenantId, Delivery)> {
    let dead: Option<String> = row.try_get("dead_reason")?;
    let delivery = Delivery {
        id: DeliveryId::from_bytes(value::id(row, "id")?),
        request: RequestId::from_bytes(value::id(row, "request_id")?),
        endpoint: EndpointId::from_bytes(value::id(row, "endpoint_id")?),
        answers: row.try_get("answers")?,
        state: value::named(row, "state", DeliveryState::from_name)?,
        next_at: value::time_opt(row, "next_at")?,
        dead: dead.map(|_| value::named(row, "dead_reason", DeadReason::from_name)).transpose()?,
        attempts: Vec::new(),
    };
    Ok((value::parsed(row, "tenant_id")?, delivery))
}
