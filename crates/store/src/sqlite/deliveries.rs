//! Deliveries and their attempts.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use tautline_core::delivery::{
    Attempt, DeadReason, Deliveries, Delivery, DeliveryState, Finished, Leased, NewDelivery, Reap,
};
use tautline_core::inbox::Request;
use tautline_core::schedule::Next;
use tautline_core::{DeliveryId, EndpointId, RequestId, StoreResult, TenantId, Timestamp, Vault};

use super::{SqliteStore, attempts, inbox, reap, value};
use crate::{columns, sealed};

#[async_trait]
impl Deliveries for SqliteStore {
    async fn delivery_lease(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        free: &[(EndpointId, usize)],
    ) -> StoreResult<Vec<Leased>> {
        let free = free.to_vec();
        let taken = self.writer.write(move |connection| {
            let mut taken = Vec::new();
            for (endpoint, slots) in &free {
                taken.extend(lease(connection, now, leased_until, *endpoint, *slots)?);
            }
            Ok(taken)
        });
        let (opened, shut) = sealed::open_leased(self.vault.as_ref(), taken.await?);
        if !shut.is_empty() {
            self.writer.write(move |connection| Ok(put_back(connection, leased_until, &shut)?)).await?;
        }
        Ok(opened)
    }

    async fn delivery_due(
        &self,
        now: Timestamp,
        endpoints: &[(EndpointId, usize)],
    ) -> StoreResult<Vec<(EndpointId, usize)>> {
        let endpoints = endpoints.to_vec();
        let due = self.lookups.read(move |connection| {
            let mut count = connection.prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE endpoint_id = ?1 AND state = 'ready'
                   AND next_at <= ?2 AND expires_at > ?2 LIMIT ?3)",
            )?;
            let mut due = Vec::new();
            for (endpoint, most) in endpoints {
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                let found = params![endpoint.as_bytes(), now.as_micros(), most];
                let found: i64 = count.query_row(found, |row| row.get(0))?;
                due.push((endpoint, usize::try_from(found).unwrap_or(0)));
            }
            Ok(due)
        });
        due.await
    }

    async fn delivery_oldest(&self, endpoints: &[EndpointId]) -> StoreResult<Option<Timestamp>> {
        let endpoints = endpoints.to_vec();
        let oldest = self.lookups.read(move |connection| {
            let mut first = connection.prepare_cached(
                "SELECT min(next_at) AS next_at FROM deliveries WHERE endpoint_id = ? AND state = 'ready'",
            )?;
            let times = endpoints.iter().map(|endpoint| {
                first.query_row([endpoint.as_bytes()], |row| value::time_opt(row, "next_at"))
            });
            Ok(times.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().min())
        });
        oldest.await
    }

    async fn delivery_finish(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        attempt: &Attempt,
        next: &Next,
    ) -> StoreResult<Finished> {
        let (tenant, attempt, next) = (tenant.clone(), attempt.clone(), next.clone());
        let vault = self.vault.clone();
        let finished = self.writer.write(move |connection| {
            let (state, next_at, dead_reason) = columns::next(&next);
            let changed = connection
                .prepare_cached(
                    "UPDATE deliveries SET state = ?, next_at = ?, dead_reason = ?, leased_until = NULL
                     WHERE id = ? AND tenant_id = ? AND state = 'leased' AND attempt = ?",
                )?
                .execute(params![
                    state.as_str(),
                    next_at,
                    dead_reason,
                    delivery.as_bytes(),
                    tenant.as_str(),
                    attempt.number
                ])?;
            if changed == 0 {
                return Ok(Finished::Fenced);
            }
            attempts::insert(connection, vault.as_ref(), &tenant, delivery, &attempt)?;
            Ok(Finished::Recorded)
        });
        finished.await
    }

    async fn delivery_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize> {
        self.writer.write(move |connection| Ok(reap::reap(connection, now, which)?)).await
    }
}

pub(super) fn insert(
    connection: &Connection,
    tenant: &TenantId,
    request: &Request,
    delivery: &NewDelivery,
) -> rusqlite::Result<()> {
    let (state, attempt, next_at) = match delivery.leased_until {
        Some(_) => (DeliveryState::Leased, 1, None),
        None => (DeliveryState::Ready, 0, Some(request.received_at.as_micros())),
    };
    connection
        .prepare_cached(
            "INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at,
               leased_until, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            delivery.id.as_bytes(),
            tenant.as_str(),
            request.id.as_bytes(),
            delivery.endpoint.as_bytes(),
            delivery.answers,
            state.as_str(),
            attempt,
            next_at,
            delivery.leased_until.map(Timestamp::as_micros),
            request.expires_at.as_micros(),
        ])?;
    Ok(())
}

/// Ends what was not begun for a request that nobody waits for any more.
pub(super) fn give_up(
    connection: &Connection,
    tenant: &TenantId,
    request: RequestId,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'dead', dead_reason = ?, next_at = NULL, leased_until = NULL
             WHERE request_id = ? AND tenant_id = ? AND state IN ('ready', 'leased')",
        )?
        .execute(params![DeadReason::NotRepeatable.as_str(), request.as_bytes(), tenant.as_str()])
}

/// Takes what is due, and brings the request with it, its body still sealed.
fn lease(
    connection: &Connection,
    now: Timestamp,
    leased_until: Timestamp,
    endpoint: EndpointId,
    slots: usize,
) -> rusqlite::Result<Vec<(Leased, Vec<u8>)>> {
    let columns = inbox::COLUMNS;
    let due = connection
        .prepare_cached(&format!(
            "SELECT d.id AS delivery_id, d.answers, d.attempt, {columns}, i.sealed_body
             FROM deliveries d JOIN inbox i ON i.id = d.request_id
             WHERE d.endpoint_id = ? AND d.state = 'ready' AND d.next_at <= ? AND d.expires_at > ?
             ORDER BY d.next_at LIMIT ?"
        ))?
        .query_map(
            params![
                endpoint.as_bytes(),
                now.as_micros(),
                now.as_micros(),
                i64::try_from(slots).unwrap_or(i64::MAX)
            ],
            |row| {
                let leased = Leased {
                    id: DeliveryId::from_bytes(value::id(row, "delivery_id")?),
                    endpoint,
                    answers: row.get("answers")?,
                    attempt: row.get::<_, u32>("attempt")? + 1,
                    request: Arc::new(inbox::read(row, Bytes::new())?),
                };
                Ok((leased, row.get("sealed_body")?))
            },
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut take = connection.prepare_cached(
        "UPDATE deliveries SET state = 'leased', attempt = ?, leased_until = ?, next_at = NULL WHERE id = ?",
    )?;
    for (leased, ..) in &due {
        take.execute(params![leased.attempt, leased_until.as_micros(), leased.id.as_bytes()])?;
    }
    Ok(due)
}

/// The deliveries of a request with their attempts; the answers only with a vault to open them.
pub(super) fn of(
    connection: &Connection,
    request: &Request,
    vault: Option<&dyn Vault>,
) -> StoreResult<Vec<Delivery>> {
    let Some(tenant) = &request.tenant else { return Ok(Vec::new()) };
    let rows = || -> rusqlite::Result<Vec<(Delivery, Vec<attempts::Row>)>> {
        let deliveries = connection
            .prepare_cached(
                "SELECT id, request_id, endpoint_id, answers, state, next_at, dead_reason FROM deliveries
                 WHERE request_id = ? AND tenant_id = ? ORDER BY answers DESC, id",
            )?
            .query_map(params![request.id.as_bytes(), tenant.as_str()], read)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut select = connection.prepare_cached(
            "SELECT number, started_at, duration_us, outcome, status, content_type, sealed_answer, error
             FROM attempts WHERE delivery_id = ? ORDER BY number",
        )?;
        let mut with_attempts = |delivery: Delivery| {
            let rows = select.query_map([delivery.id.as_bytes()], attempts::Row::read)?;
            Ok((delivery, rows.collect::<rusqlite::Result<Vec<_>>>()?))
        };
        deliveries.into_iter().map(&mut with_attempts).collect()
    };
    let rows = rows().map_err(super::failure::Failure::from)?;
    let complete = |(mut delivery, attempts): (Delivery, Vec<attempts::Row>)| {
        let id = delivery.id;
        let open = |attempt: attempts::Row| attempt.open(tenant, id, vault);
        delivery.attempts = attempts.into_iter().map(open).collect::<StoreResult<_>>()?;
        Ok(delivery)
    };
    rows.into_iter().map(complete).collect()
}

/// Puts back what was taken and cannot be used; the attempt that was not made is not counted.
fn put_back(
    connection: &Connection,
    next_at: Timestamp,
    taken: &[(DeliveryId, u32)],
) -> rusqlite::Result<()> {
    let mut back = connection.prepare_cached(
        "UPDATE deliveries SET state = 'ready', attempt = attempt - 1, next_at = ?, leased_until = NULL
         WHERE id = ? AND state = 'leased' AND attempt = ?",
    )?;
    for (id, attempt) in taken {
        back.execute(params![next_at.as_micros(), id.as_bytes(), attempt])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let dead = row.get::<_, Option<String>>("dead_reason")?;
    Ok(Delivery {
        id: DeliveryId::from_bytes(value::id(row, "id")?),
        request: RequestId::from_bytes(value::id(row, "request_id")?),
        endpoint: EndpointId::from_bytes(value::id(row, "endpoint_id")?),
        answers: row.get("answers")?,
        state: value::named(row, "state", DeliveryState::from_name)?,
        next_at: value::time_opt(row, "next_at")?,
        dead: dead.map(|_| value::named(row, "dead_reason", DeadReason::from_name)).transpose()?,
        attempts: Vec::new(),
    })
}
