//! Attempts put on record, with what follows them: two statements for however many ended together.

use std::collections::HashSet;
use std::sync::Arc;

use tautline_core::delivery::{Attempt, Finished};
use tautline_core::schedule::Next;
use tautline_core::{DeliveryId, TenantId, Vault};
use uuid::Uuid;

use super::database::{Sql, Tx, sql};
use super::failure::Work;
use super::group::Together;
use super::value;
use crate::{columns, sealed};

/// An attempt that ended, as its columns.
pub(super) struct Finish {
    delivery: Uuid,
    number: i64,
    tenant: String,
    state: &'static str,
    next_at: Option<i64>,
    dead_reason: Option<&'static str>,
    started_at: i64,
    duration_us: Option<i64>,
    outcome: &'static str,
    status: Option<i64>,
    content_type: Option<String>,
    sealed_answer: Option<Vec<u8>>,
    error: Option<String>,
}

impl Finish {
    pub(super) fn new(
        vault: &dyn Vault,
        tenant: &TenantId,
        delivery: DeliveryId,
        attempt: &Attempt,
        next: &Next,
    ) -> Self {
        let (state, next_at, dead_reason) = columns::next(next);
        let (outcome, answer, error) = columns::result(attempt.result.as_ref());
        let row = sealed::attempt_row(delivery, attempt.number);
        Self {
            delivery: value::uuid(delivery.as_bytes()),
            number: i64::from(attempt.number),
            tenant: tenant.to_string(),
            state: state.as_str(),
            next_at,
            dead_reason,
            started_at: attempt.started_at.as_micros(),
            duration_us: attempt.duration.map(value::micros),
            outcome,
            status: answer.map(|answer| i64::from(answer.status)),
            content_type: value::text_opt(answer.and_then(|answer| answer.content_type.as_deref())),
            sealed_answer: answer.map(|answer| vault.seal(sealed::answer(tenant, &row), &answer.body)),
            error: value::text_opt(error),
        }
    }
}

pub(super) struct Finishing;

impl Together for Finishing {
    type Item = Finish;
    type Outcome = Finished;

    async fn run(&self, tx: &mut Tx, all: &[Arc<Finish>]) -> Work<Vec<Finished>> {
        let moved =
            tx.all(move_on(all), |row| Ok((value::id(row, "id")?, value::number(row, "attempt")?))).await?;
        let mut moved = moved.into_iter().collect::<HashSet<([u8; 16], i64)>>();
        let mut recorded = Vec::new();
        let outcomes = all.iter().map(|finish| {
            if !moved.remove(&(finish.delivery.into_bytes(), finish.number)) {
                return Finished::Fenced;
            }
            recorded.push(finish.as_ref());
            Finished::Recorded
        });
        let outcomes = outcomes.collect();
        if !recorded.is_empty() {
            tx.execute(record(&recorded)).await?;
        }
        Ok(outcomes)
    }
}

fn each<F: AsRef<Finish>, T>(all: &[F], field: impl Fn(&Finish) -> T) -> Vec<T> {
    all.iter().map(|finish| field(finish.as_ref())).collect()
}

impl AsRef<Self> for Finish {
    fn as_ref(&self) -> &Self {
        self
    }
}

fn move_on(all: &[Arc<Finish>]) -> Sql {
    sql("UPDATE deliveries d SET state = f.state, next_at = f.next_at, dead_reason = f.dead_reason,
           leased_until = NULL
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])
           AS f (id, tenant_id, attempt, state, next_at, dead_reason)
         WHERE d.id = f.id AND d.tenant_id = f.tenant_id AND d.state = 'leased' AND d.attempt = f.attempt
         RETURNING d.id, d.attempt")
    .bind(each(all, |finish| finish.delivery))
    .bind(each(all, |finish| finish.tenant.clone()))
    .bind(each(all, |finish| finish.number))
    .bind(each(all, |finish| finish.state))
    .bind(each(all, |finish| finish.next_at))
    .bind(each(all, |finish| finish.dead_reason))
}

fn record(all: &[&Finish]) -> Sql {
    sql("INSERT INTO attempts (delivery_id, number, tenant_id, started_at, duration_us, outcome, status,
           content_type, sealed_answer, error)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
           $7::bigint[], $8::text[], $9::bytea[], $10::text[])")
    .bind(each(all, |finish| finish.delivery))
    .bind(each(all, |finish| finish.number))
    .bind(each(all, |finish| finish.tenant.clone()))
    .bind(each(all, |finish| finish.started_at))
    .bind(each(all, |finish| finish.duration_us))
    .bind(each(all, |finish| finish.outcome))
    .bind(each(all, |finish| finish.status))
    .bind(each(all, |finish| finish.content_type.clone()))
    .bind(each(all, |finish| finish.sealed_answer.clone()))
    .bind(each(all, |finish| finish.error.clone()))
}
