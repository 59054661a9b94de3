//! The attempts of a delivery, with the endpoint's answers sealed.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, params};
use secrecy::ExposeSecret;
use tautline_core::delivery::{Answer, Attempt, AttemptResult};
use tautline_core::{DeliveryId, Place, StoreError, StoreResult, TenantId, Vault};

use super::value;

fn answer_place<'a>(tenant: &'a TenantId, row: &'a [u8]) -> Place<'a> {
    Place { tenant: Some(tenant), table: "attempts", row, field: "answer" }
}

fn row_name(delivery: DeliveryId, number: u32) -> Vec<u8> {
    [delivery.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// Puts an attempt on record.
pub(super) fn insert(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    delivery: DeliveryId,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    let (outcome, answer, error) = match &attempt.result {
        Some(AttemptResult::Answered(answer)) => ("answered", Some(answer), None),
        Some(AttemptResult::Refused { answer, .. }) => ("refused", Some(answer), None),
        Some(AttemptResult::NotReached { error }) => ("not_reached", None, Some(error)),
        Some(AttemptResult::Unknown { error }) => ("unknown", None, Some(error)),
        None => ("interrupted", None, None),
    };
    let row = row_name(delivery, attempt.number);
    let seal = |answer: &Answer| vault.seal(answer_place(tenant, &row), &answer.body);
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

/// An attempt as it stands in the table, its answer still sealed.
pub(super) struct Row {
    attempt: Attempt,
    outcome: String,
    answer: Answer,
    sealed_answer: Option<Vec<u8>>,
    error: String,
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
            outcome: row.get("outcome")?,
            answer: Answer {
                status: row.get::<_, Option<u16>>("status")?.unwrap_or_default(),
                content_type: row.get("content_type")?,
                body: Bytes::new(),
            },
            sealed_answer: row.get("sealed_answer")?,
            error: row.get::<_, Option<String>>("error")?.unwrap_or_default(),
        })
    }

    /// Opens it; the answer's body only with a vault.
    pub(super) fn open(
        self,
        tenant: &TenantId,
        delivery: DeliveryId,
        vault: Option<&dyn Vault>,
    ) -> StoreResult<Attempt> {
        let Self { mut attempt, outcome, mut answer, sealed_answer, error } = self;
        if let (Some(vault), Some(sealed)) = (vault, sealed_answer) {
            let failed = |source| StoreError::Sealed { table: "attempts", row: delivery.to_string(), source };
            let row = row_name(delivery, attempt.number);
            let plain = vault.open(answer_place(tenant, &row), &sealed).map_err(failed)?;
            answer.body = Bytes::copy_from_slice(plain.expose_secret());
        }
        attempt.result = match outcome.as_str() {
            "answered" => Some(AttemptResult::Answered(answer)),
            "refused" => Some(AttemptResult::Refused { answer, retry_after: None }),
            "not_reached" => Some(AttemptResult::NotReached { error }),
            "unknown" => Some(AttemptResult::Unknown { error }),
            _ => None,
        };
        Ok(attempt)
    }
}
