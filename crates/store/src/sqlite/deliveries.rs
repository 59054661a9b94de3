//! Deliveries and their attempts.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tautline_core::delivery::{
    Attempt, DeadReason, Deliveries, Delivery, DeliveryFilter, DeliveryState, Finished, Leased, Listed,
    NewDelivery, Places, Reap, Reaped, Revival,
};
use tautline_core::inbox::{Request, Revive};
use tautline_core::schedule::Next;
use tautline_core::{
    DeliveryId, EndpointId, Page, PageRequest, RequestId, StoreResult, TenantId, Timestamp, Vault,
};

use super::{SqliteStore, attempts, due, inbox, listed, reap, value};
use crate::limits::REAP_BATCH;
use crate::{columns, sealed};

#[async_trait]
impl Deliveries for SqliteStore {
    async fn delivery_lease(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        places: &[Places],
    ) -> StoreResult<Vec<Leased>> {
        let places = places.to_vec();
        let taken = self.writer.write(move |connection| {
            let mut taken = Vec::new();
            for places in &places {
                for (select, most) in [(due::FIRST, places.first), (due::AGAIN, places.again)] {
                    taken.extend(lease(connection, select, now, leased_until, places.endpoint, most)?);
                }
            }
            Ok(taken)
        });
        let (opened, shut) = sealed::open_leased(self.vault.as_ref(), taken.await?);
        if !shut.is_empty() {
            self.writer.write(move |connection| Ok(put_back(connection, leased_until, &shut)?)).await?;
        }
        Ok(opened)
    }

    async fn delivery_due(&self, now: Timestamp, places: &[Places]) -> StoreResult<Vec<Places>> {
        let places = places.to_vec();
        let due = self.lookups.read(move |connection| {
            let count = |select: &str, endpoint: EndpointId, most: usize| -> rusqlite::Result<usize> {
                let found = params![endpoint.as_bytes(), now.as_micros(), value::limit(most)];
                let count = format!("SELECT count(*) FROM ({select})");
                let found: i64 = connection.prepare_cached(&count)?.query_row(found, |row| row.get(0))?;
                Ok(usize::try_from(found).unwrap_or(0))
            };
            let due = places.into_iter().map(|Places { endpoint, first, again }| {
                Ok(Places {
                    endpoint,
                    first: count(due::FIRST, endpoint, first)?,
                    again: count(due::AGAIN, endpoint, again)?,
                })
            });
            Ok(due.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        due.await
    }

    async fn delivery_oldest(&self, endpoints: &[EndpointId]) -> StoreResult<Option<Timestamp>> {
        let endpoints = endpoints.to_vec();
        let oldest = self.lookups.read(move |connection| {
            let mut oldest = None;
            for select in [due::OLDEST_FIRST, due::OLDEST_AGAIN] {
                let mut first = connection.prepare_cached(select)?;
                for endpoint in &endpoints {
                    let at = first.query_row([endpoint.as_bytes()], |row| value::time(row, "next_at"));
                    oldest = [oldest, at.optional()?].into_iter().flatten().min();
                }
            }
            Ok(oldest)
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

    async fn delivery_reap(&self, now: Timestamp, which: Reap) -> StoreResult<Reaped> {
        self.writer.write(move |connection| Ok(reap::reap(connection, now, which)?)).await
    }

    async fn delivery_hasten(&self, endpoint: EndpointId, now: Timestamp) -> StoreResult<u64> {
        let hastened = self.writer.write(move |connection| {
            let hastened = connection
                .prepare_cached(
                    "UPDATE deliveries SET next_at = ?1 WHERE id IN (
                       SELECT id FROM deliveries WHERE endpoint_id = ?2 AND state = 'ready' AND attempt > 0
                         AND next_at > ?1 ORDER BY next_at LIMIT ?3)",
                )?
                .execute(params![now.as_micros(), endpoint.as_bytes(), REAP_BATCH])?;
            Ok(hastened as u64)
        });
        hastened.await
    }

    async fn deliveries(&self, filter: &DeliveryFilter, page: PageRequest) -> StoreResult<Page<Listed>> {
        let filter = filter.clone();
        self.lists.read(move |connection| listed::list(connection, &filter, page)).await
    }

    async fn delivery_revive(
        &self,
        which: Revive,
        now: Timestamp,
        deliveries: Vec<Revival>,
    ) -> StoreResult<u64> {
        let revived = self.writer.write(move |connection| {
            let mut revived = 0;
            for revival in &deliveries {
                revived += revive(connection, which, now, revival)?;
            }
            Ok(revived)
        });
        revived.await
    }
}

/// What may be made again, of the table `deliveries`; the parameters are whether all of it, and the reason of what is not.
pub(super) const REVIVABLE: &str = "state = 'dead' AND (?1 OR dead_reason <> ?2)
    AND EXISTS (SELECT 1 FROM inbox i WHERE i.id = request_id AND i.sealed_body <> x'')
    AND endpoint_id NOT IN (SELECT e.id FROM endpoints e WHERE e.is_removed = 1)";

fn revive(
    connection: &Connection,
    which: Revive,
    now: Timestamp,
    revival: &Revival,
) -> rusqlite::Result<u64> {
    let request = connection
        .prepare_cached(&format!(
            "UPDATE deliveries SET state = 'ready', next_at = ?3, turn = ?4, dead_reason = NULL, expires_at = ?5
             WHERE id = ?6 AND tenant_id = ?7 AND {REVIVABLE} RETURNING request_id"
        ))?
        .query_row(
            params![
                which == Revive::All,
                DeadReason::NotRepeatable.as_str(),
                now.as_micros(),
                revival.turn.as_micros(),
                revival.expires_at.as_micros(),
                revival.id.as_bytes(),
                revival.tenant.as_str(),
            ],
            |row| row.get::<_, [u8; 16]>(0),
        )
        .optional()?;
    let Some(request) = request else { return Ok(0) };
    connection
        .prepare_cached("UPDATE inbox SET expires_at = max(expires_at, ?) WHERE id = ?")?
        .execute(params![revival.expires_at.as_micros(), request])?;
    Ok(1)
}

pub(super) fn insert(
    connection: &Connection,
    tenant: &TenantId,
    request: &Request,
    delivery: &NewDelivery,
) -> rusqlite::Result<()> {
    let (state, attempt, next_at, turn, leased_until) = columns::hand(delivery);
    connection
        .prepare_cached(
            "INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at,
               turn, leased_until, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            delivery.id.as_bytes(),
            tenant.as_str(),
            request.id.as_bytes(),
            delivery.endpoint.as_bytes(),
            delivery.answers,
            state.as_str(),
            attempt,
            next_at.map(Timestamp::as_micros),
            turn.as_micros(),
            leased_until.map(Timestamp::as_micros),
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
    select: &str,
    now: Timestamp,
    leased_until: Timestamp,
    endpoint: EndpointId,
    most: usize,
) -> rusqlite::Result<Vec<(Leased, Vec<u8>)>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let columns = inbox::COLUMNS;
    let due = connection
        .prepare_cached(&format!(
            "SELECT d.id AS delivery_id, d.answers, d.attempt, d.next_at, {columns}, i.sealed_body
             FROM ({select}) d JOIN inbox i ON i.id = d.request_id"
        ))?
        .query_map(params![endpoint.as_bytes(), now.as_micros(), value::limit(most)], |row| {
            let leased = Leased {
                id: DeliveryId::from_bytes(value::id(row, "delivery_id")?),
                endpoint,
                answers: row.get("answers")?,
                attempt: row.get::<_, u32>("attempt")? + 1,
                due_at: value::time(row, "next_at")?,
                leased_until,
                request: Arc::new(inbox::read(row, Bytes::new())?),
            };
            Ok((leased, row.get("sealed_body")?))
        })?
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
        let with_attempts = |delivery: Delivery| {
            let attempts = attempts::of(connection, delivery.id)?;
            Ok((delivery, attempts))
        };
        deliveries.into_iter().map(with_attempts).collect()
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

/// Puts back what was taken and cannot be used, behind what can; the attempt that was not made is not counted.
fn put_back(
    connection: &Connection,
    next_at: Timestamp,
    taken: &[(DeliveryId, u32)],
) -> rusqlite::Result<()> {
    let mut back = connection.prepare_cached(
        "UPDATE deliveries SET state = 'ready', attempt = attempt - 1, next_at = ?1, turn = ?1, leased_until = NULL
         WHERE id = ?2 AND state = 'leased' AND attempt = ?3",
    )?;
    for (id, attempt) in taken {
        back.execute(params![next_at.as_micros(), id.as_bytes(), attempt])?;
    }
    Ok(())
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
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
