//! Requests made durable: three statements for however many came together.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row as _;
use tautline_core::delivery::NewDelivery;
use tautline_core::inbox::{Accepted, Incoming, Request};
use tautline_core::{TenantId, Timestamp};
use uuid::Uuid;

use super::clock::DatabaseClock;
use super::database::{Sql, Tx, sql};
use super::failure::{Work, unavailable};
use super::group::Together;
use super::value;
use crate::columns;

/// A request, with its body sealed by the caller's task.
pub(super) struct Accept {
    pub(super) incoming: Incoming,
    pub(super) sealed_body: Vec<u8>,
}

pub(super) struct Accepting {
    pub(super) clock: Arc<DatabaseClock>,
}

impl Together for Accepting {
    type Item = Accept;
    type Outcome = Accepted;

    async fn run(&self, tx: &mut Tx, all: &[Arc<Accept>]) -> Work<Vec<Accepted>> {
        let mut new = tx
            .all(see(all), |row| row.try_get::<Vec<u8>, _>("key"))
            .await?
            .into_iter()
            .collect::<HashSet<_>>();
        // The same key may be there twice: the first is new, and takes it.
        let outcomes = all.iter().map(|accept| {
            if new.remove(accept.incoming.seen.0.as_slice()) {
                Accepted::Stored
            } else {
                Accepted::AlreadySeen
            }
        });
        let outcomes = outcomes.collect::<Vec<_>>();
        let (mut stored, mut again) = (Vec::new(), Vec::new());
        for (accept, outcome) in all.iter().zip(&outcomes) {
            let list = if *outcome == Accepted::Stored { &mut stored } else { &mut again };
            list.push(accept.as_ref());
        }
        if !stored.is_empty() {
            hold_tenants(tx, &stored).await?;
            tx.execute(keep(&stored)).await?;
            if stored.iter().any(|accept| !accept.incoming.deliveries.is_empty()) {
                tx.execute(self.deliver(&stored)).await?;
            }
        }
        if !again.is_empty() {
            tx.execute(count_retries(&again)).await?;
        }
        Ok(outcomes)
    }
}

/// In the order of the keys, so that two replicas that see the same ones wait for each other in one direction.
fn see(all: &[Arc<Accept>]) -> Sql {
    let keys = all.iter().map(|accept| accept.incoming.seen.0.to_vec()).collect::<Vec<_>>();
    let times = all.iter().map(|accept| accept.incoming.request.received_at.as_micros()).collect::<Vec<_>>();
    let ids = all.iter().map(|accept| value::uuid(accept.incoming.request.id.as_bytes())).collect::<Vec<_>>();
    // Of one key that is there twice the first takes it.
    sql("INSERT INTO seen (key, seen_at, request_id)
         SELECT key, seen_at, request_id FROM unnest($1::bytea[], $2::bigint[], $3::uuid[])
           WITH ORDINALITY AS t (key, seen_at, request_id, place) ORDER BY key, place
         ON CONFLICT DO NOTHING RETURNING key")
    .bind(keys)
    .bind(times)
    .bind(ids)
}

/// Slack sent them again. What they were stored as may be gone by age: then nobody counts. In the order of the ids, as
/// another replica may count the same.
fn count_retries(again: &[&Accept]) -> Sql {
    let keys = again.iter().map(|accept| accept.incoming.seen.0.to_vec()).collect::<Vec<_>>();
    let reasons = again.iter().map(|accept| value::text_opt(accept.incoming.retry_reason.as_deref()));
    sql("WITH again AS (
           SELECT s.request_id, count(*) AS times, max(t.reason) AS reason
           FROM unnest($1::bytea[], $2::text[]) AS t (key, reason) JOIN seen s ON s.key = t.key GROUP BY 1),
         held AS (SELECT i.id FROM inbox i JOIN again a ON a.request_id = i.id ORDER BY i.id FOR UPDATE OF i)
         UPDATE inbox i SET retries = i.retries + a.times, retry_reason = coalesce(a.reason, i.retry_reason)
         FROM again a, held WHERE i.id = a.request_id AND held.id = i.id")
    .bind(keys)
    .bind(reasons.collect::<Vec<_>>())
}

/// A tenant that is being erased takes in nothing more; one that takes something in is not erased meanwhile.
async fn hold_tenants(tx: &mut Tx, stored: &[&Accept]) -> Work<()> {
    let tenants = stored.iter().filter_map(|accept| accept.incoming.request.tenant.as_ref());
    let mut tenants = tenants.map(ToString::to_string).collect::<Vec<_>>();
    tenants.sort_unstable();
    tenants.dedup();
    let wanted = tenants.len();
    let hold = sql("SELECT id FROM tenants WHERE id = ANY($1) ORDER BY id FOR KEY SHARE").bind(tenants);
    let held = tx.all(hold, |row| row.try_get::<String, _>("id")).await?;
    if held.len() < wanted { Err(unavailable("the tenant is not known").into()) } else { Ok(()) }
}

fn keep(stored: &[&Accept]) -> Sql {
    macro_rules! each {
        (|$accept:ident, $request:ident| $value:expr) => {
            stored
                .iter()
                .map(|$accept| {
                    let $request = &$accept.incoming.request;
                    $value
                })
                .collect::<Vec<_>>()
        };
    }
    sql("INSERT INTO inbox (id, tenant_id, installation_id, kind, name, slack_id, team_id, received_at, expires_at,
           content_type, sealed_body, answer, message, retry_reason)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::bigint[], $9::bigint[], $10::text[], $11::bytea[], $12::text[], $13::text[], $14::text[])")
    .bind(each!(|accept, request| value::uuid(request.id.as_bytes())))
    .bind(each!(|accept, request| request.tenant.as_ref().map(ToString::to_string)))
    .bind(each!(|accept, request| request.installation.map(|id| value::uuid(id.as_bytes()))))
    .bind(each!(|accept, request| request.kind.as_str()))
    .bind(each!(|accept, request| value::text(&request.name)))
    .bind(each!(|accept, request| value::text_opt(request.slack_id.as_deref())))
    .bind(each!(|accept, request| value::text_opt(request.team_id.as_deref())))
    .bind(each!(|accept, request| request.received_at.as_micros()))
    .bind(each!(|accept, request| request.expires_at.as_micros()))
    .bind(each!(|accept, request| value::text_opt(request.content_type.as_deref())))
    .bind(stored.iter().map(|accept| accept.sealed_body.clone()).collect::<Vec<_>>())
    .bind(each!(|accept, _request| accept.incoming.answer.as_str()))
    .bind(each!(|accept, request| value::text_opt(request.message.as_deref())))
    .bind(each!(|accept, _request| value::text_opt(accept.incoming.retry_reason.as_deref())))
}

/// The columns of the deliveries, one list each.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    tenants: Vec<String>,
    requests: Vec<Uuid>,
    endpoints: Vec<Uuid>,
    answers: Vec<bool>,
    states: Vec<&'static str>,
    attempts: Vec<i64>,
    next_at: Vec<Option<i64>>,
    turns: Vec<i64>,
    leased_until: Vec<Option<i64>>,
    expires_at: Vec<i64>,
}

impl Accepting {
    fn deliver(&self, stored: &[&Accept]) -> Sql {
        let rows = stored.iter().flat_map(|accept| {
            let Incoming { request, deliveries, .. } = &accept.incoming;
            let of = |tenant| deliveries.iter().map(move |delivery| (tenant, request.as_ref(), delivery));
            request.tenant.as_ref().map(of).into_iter().flatten()
        });
        deliver(&self.clock, rows)
    }
}

/// Stores deliveries, each with its request and its tenant.
pub(super) fn deliver<'a>(
    clock: &DatabaseClock,
    rows: impl Iterator<Item = (&'a TenantId, &'a Request, &'a NewDelivery)>,
) -> Sql {
    let mut c = Columns::default();
    for (tenant, request, delivery) in rows {
        let (state, attempt, next_at, turn, leased_until) = columns::hand(delivery);
        c.ids.push(value::uuid(delivery.id.as_bytes()));
        c.tenants.push(tenant.to_string());
        c.requests.push(value::uuid(request.id.as_bytes()));
        c.endpoints.push(value::uuid(delivery.endpoint.as_bytes()));
        c.answers.push(delivery.answers);
        c.states.push(state.as_str());
        c.attempts.push(attempt);
        c.next_at.push(next_at.map(Timestamp::as_micros));
        c.turns.push(turn.as_micros());
        c.leased_until.push(leased_until.map(|until| clock.database_us(until)));
        c.expires_at.push(request.expires_at.as_micros());
    }
    sql("INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at,
           turn, leased_until, expires_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::boolean[], $6::text[],
           $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])")
    .bind(c.ids)
    .bind(c.tenants)
    .bind(c.requests)
    .bind(c.endpoints)
    .bind(c.answers)
    .bind(c.states)
    .bind(c.attempts)
    .bind(c.next_at)
    .bind(c.turns)
    .bind(c.leased_until)
    .bind(c.expires_at)
}
