//! The attempts of a delivery, with the endpoint's answers sealed.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, params};
use tautline_core::delivery::{Answer, Attempt};
use tautline_core::{DeliveryId, StoreResult, TenantId, Vault};

use super::value;
use crate::{columns, sealed};

/// Puts an attempt on record.
pub(super) fn insert(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    delivery: DeliveryId,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    let (outcome, answer, error) = columns::result(attempt.result.as_ref());
    let row = sealed::attempt_row(delivery, attempt.number);
    let seal = |answer: &Answer| vault.seal(sealed::answer(tenant, &row), &answer.body);
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery_id, number, tenant_id, started_at, duration_us, outcome, status,
               content_type, sealed_answer, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            delivery.as_bytes(),
            attempt.number,
            tenant.as_str(),
            attempt.started_at.as_micros(),
            attempt.duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
            outcome,
            answer.map(|answer| answer.status),
            answer.and_then(|answer| answer.content_type.as_deref()),
            answer.map(seal),
            error,
        ])?;
    Ok(())
}

/// The attempts of a delivery.
pub(super) fn of(connection: &Connection, delivery: DeliveryId) -> rusqlite::Result<Vec<Row>> {
    connection
        .prepare_cached(
            "SELECT number, started_at, duration_us, outcome, status, content_type, sealed_answer, error
             FROM attempts WHERE delivery_id = ? ORDER BY number",
        )?
        .query_map([delivery.as_bytes()], Row::read)?
        .collect()
}

/// An attempt as it stands in the table, its answer still sealed.
pub(super) struct Row {
    attempt: Attempt,
    result: columns::Result,
}

impl Row {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let duration_us: Option<i64> = row.get("duration_us")?;
        Ok(Self {
            attempt: Attempt {
                number: row.get("number")?,
                started_at: value::time(row, "started_at")?,
                duration: duration_us.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros),
                result: None,
            },
            result: columns::Result {
                outcome: row.get("outcome")?,
                status: row.get("status")?,
                content_type: row.get("content_type")?,
                sealed_answer: row.get("sealed_answer")?,
                error: row.get("error")?,
            },
        })
    }

    /// Opens it; the answer's body only with a vault.
    pub(super) fn open(
        self,
        tenant: &TenantId,
        delivery: DeliveryId,
        vault: Option<&dyn Vault>,
    ) -> StoreResult<Attempt> {
        let Self { attempt, result } = self;
        let body = match (vault, &result.sealed_answer) {
            (Some(vault), Some(sealed)) => {
                sealed::open_answer(vault, tenant, delivery, attempt.number, sealed)?
            }
            _ => Bytes::new(),
        };
        Ok(Attempt { result: result.open(body), ..attempt })
    }
}
