//! Deliveries: taken, looked at, given up. How they end is in `finish.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::{
    Attempt, DeadReason, Deliveries, Delivery, DeliveryState, Finished, Leased, Reap,
};
use tautline_core::schedule::Next;
use tautline_core::{DeliveryId, EndpointId, RequestId, StoreResult, TenantId, Timestamp, Vault};
use uuid::Uuid;

use super::database::{Tx, sql};
use super::failure::Work;
use super::finish::Finish;
use super::{PostgresStore, attempts, inbox, reap, value};
use crate::sealed;

#[async_trait]
impl Deliveries for PostgresStore {
    async fn delivery_lease(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        free: &[(EndpointId, usize)],
    ) -> StoreResult<Vec<Leased>> {
        let mut tx = self.database.write().await?;
        let mut taken = Vec::new();
        for (endpoint, slots) in free {
            taken.extend(self.lease(&mut tx, now, leased_until, *endpoint, *slots).await?);
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

    async fn delivery_due(
        &self,
        now: Timestamp,
        endpoints: &[(EndpointId, usize)],
    ) -> StoreResult<Vec<(EndpointId, usize)>> {
        let mut tx = self.database.read().await?;
        let mut due = Vec::new();
        for (endpoint, most) in endpoints {
            let count = sql("SELECT count(*) AS due FROM (SELECT FROM deliveries WHERE endpoint_id = $1
                               AND state = 'ready' AND next_at <= $2 AND expires_at > $2 LIMIT $3) AS found")
            .bind(value::uuid(endpoint.as_bytes()))
            .bind(now.as_micros())
            .bind(value::limit(*most));
            due.push((*endpoint, tx.one(count, |row| value::number(row, "due")).await?));
        }
        tx.finish(due).await
    }

    async fn delivery_oldest(&self, endpoints: &[EndpointId]) -> StoreResult<Option<Timestamp>> {
        let mut tx = self.lists.read().await?;
        let mut oldest = None;
        for endpoint in endpoints {
            let first = sql(
                "SELECT min(next_at) AS next_at FROM deliveries WHERE endpoint_id = $1 AND state = 'ready'",
            )
            .bind(value::uuid(endpoint.as_bytes()));
            let first = tx.one(first, |row| value::time_opt(row, "next_at")).await?;
            oldest = [oldest, first].into_iter().flatten().min();
        }
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

    async fn delivery_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize> {
        reap::reap(&self.database, &self.clock, now, which).await
    }
}

impl PostgresStore {
    /// Takes what is due and nobody else is just taking, with the request, its body still sealed.
    async fn lease(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        leased_until: Timestamp,
        endpoint: EndpointId,
        slots: usize,
    ) -> Work<Vec<(Leased, Vec<u8>)>> {
        let lease = sql(concat!(
            "WITH due AS (
               SELECT id, next_at FROM deliveries
               WHERE endpoint_id = $1 AND state = 'ready' AND next_at <= $2 AND expires_at > $2
               ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED)
             UPDATE deliveries d SET state = 'leased', attempt = attempt + 1, leased_until = $4, next_at = NULL
             FROM due, inbox i WHERE d.id = due.id AND i.id = d.request_id
             RETURNING d.id AS delivery_id, d.answers, d.attempt, due.next_at AS was_due, i.sealed_body, ",
            inbox::columns!()
        ))
        .bind(value::uuid(endpoint.as_bytes()))
        .bind(now.as_micros())
        .bind(value::limit(slots))
        .bind(self.clock.database_us(leased_until));
        let read = |row: &PgRow| {
            let leased = Leased {
                id: DeliveryId::from_bytes(value::id(row, "delivery_id")?),
                endpoint,
                answers: row.try_get("answers")?,
                attempt: value::number(row, "attempt")?,
                request: Arc::new(inbox::read(row)?),
            };
            Ok((value::time(row, "was_due")?, leased, row.try_get("sealed_body")?))
        };
        let mut taken = tx.all(lease, read).await?;
        // What an UPDATE returns has no order.
        taken.sort_by_key(|(was_due, leased, _)| (*was_due, leased.id));
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

/// Puts back what was taken and cannot be used; the attempt that was not made is not counted.
async fn put_back(tx: &mut Tx, next_at: Timestamp, taken: &[(DeliveryId, u32)]) -> Work<()> {
    for (id, attempt) in taken {
        tx.execute(
            sql("UPDATE deliveries SET state = 'ready', attempt = attempt - 1, next_at = $1, leased_until = NULL
                 WHERE id = $2 AND state = 'leased' AND attempt = $3")
            .bind(next_at.as_micros())
            .bind(value::uuid(id.as_bytes()))
            .bind(i64::from(*attempt)),
        )
        .await?;
    }
    Ok(())
}

fn read(row: &PgRow) -> sqlx::Result<(TenantId, Delivery)> {
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
