//! Messages made durable: a few statements for however many came together.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::outbox::{self, NewMessage, Position, Queued};
use tautline_core::{InstallationId, MessageId, TenantId, Timestamp, limits};

use super::clock::DatabaseClock;
use super::database::{Sql, Tx, sql};
use super::failure::Work;
use super::group::Together;
use super::idempotency::{self, Before};
use super::lanes::{self, Joining, Lane};
use super::value;

/// A message, with its arguments sealed by the caller's task.
pub(super) struct Enqueue {
    pub(super) new: NewMessage,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) sealed_arguments: Vec<u8>,
}

pub(super) struct Enqueuing {
    pub(super) clock: Arc<DatabaseClock>,
}

/// What was accepted before under a key.
pub(super) fn queued(before: Before) -> Queued {
    match before.made.filter(|_| before.is_same) {
        Some(id) => Queued::Before(MessageId::from_bytes(id)),
        None => Queued::Conflict,
    }
}

/// Where a message goes.
struct Placed<'m> {
    all: &'m Enqueue,
    position: Position,
}

impl Together for Enqueuing {
    type Item = Enqueue;
    type Outcome = Queued;

    async fn run(&self, tx: &mut Tx, all: &[Arc<Enqueue>]) -> Work<Vec<Queued>> {
        let mut waiting = waiting(tx, all).await?;
        let names = names(tx, all).await?;
        let (mut outcomes, mut placed) = (Vec::with_capacity(all.len()), Vec::new());
        for one in all {
            let outcome = self.place(tx, one, &mut waiting, &names, &mut placed).await?;
            outcomes.push(outcome);
        }
        if placed.is_empty() {
            return Ok(outcomes);
        }
        let now = placed.iter().map(|one| one.all.new.accepted_at).max().unwrap_or_default();
        // The lanes first: their rows are held until the commit, so that the order of the numbers is that of the commits.
        let joins = placed.iter().map(|one| Joining {
            lane: Some((one.all.new.installation, one.position.lane.clone()))
                .filter(|(_, lane)| !lane.is_empty()),
            tenant: &one.all.new.tenant,
            is_urgent: one.position.is_urgent,
            counts: true,
        });
        lanes::join(tx, &self.clock, &joins.collect::<Vec<_>>(), now).await?;
        tx.execute(insert(&placed)).await?;
        Ok(outcomes)
    }
}

impl Enqueuing {
    async fn place<'m>(
        &self,
        tx: &mut Tx,
        one: &'m Enqueue,
        waiting: &mut HashMap<TenantId, u32>,
        names: &HashMap<Lane, String>,
        placed: &mut Vec<Placed<'m>>,
    ) -> Work<Queued> {
        let of_tenant = waiting.entry(one.new.tenant.clone()).or_default();
        if *of_tenant >= limits::WAITING_MESSAGES {
            let before = match &one.key {
                Some(key) => idempotency::find(tx, key).await?,
                None => None,
            };
            return Ok(before.map_or(Queued::Full, queued));
        }
        let about = match &one.new.about {
            Some(about) => match position_of(tx, &one.new.tenant, *about).await? {
                Some(position) => Some(position),
                None => return Ok(Queued::Unknown),
            },
            None => None,
        };
        if let Some(key) = &one.key
            && let Some(before) = idempotency::claim(tx, key, Some(one.new.id.as_bytes())).await?
        {
            return Ok(queued(before));
        }
        *of_tenant += 1;
        let in_its_channel = || {
            let spelled = outbox::lane(&one.new.channel);
            let known = names.get(&(one.new.installation, spelled.to_owned()));
            let lane = known.map_or(spelled, String::as_str).to_owned();
            Position { lane, is_urgent: one.new.is_urgent }
        };
        placed.push(Placed { all: one, position: one.new.position(about).unwrap_or_else(in_its_channel) });
        Ok(Queued::Now)
    }
}

async fn waiting(tx: &mut Tx, all: &[Arc<Enqueue>]) -> Work<HashMap<TenantId, u32>> {
    let found = sql("SELECT tenant_id, waiting FROM outbox_waiting WHERE tenant_id = ANY($1)")
        .bind(value::distinct(all.iter().map(|one| &one.new.tenant)));
    let found = tx.all(found, |row| Ok((value::parsed(row, "tenant_id")?, value::number(row, "waiting")?)));
    Ok(found.await?.into_iter().collect())
}

/// Which channels Slack meant by these spellings.
async fn names(tx: &mut Tx, all: &[Arc<Enqueue>]) -> Work<HashMap<Lane, String>> {
    let mut spelled = all
        .iter()
        .map(|one| (*one.new.installation.as_bytes(), outbox::lane(&one.new.channel)))
        .collect::<Vec<_>>();
    spelled.sort_unstable();
    spelled.dedup();
    let found = sql("SELECT n.installation_id, n.name, n.lane FROM lane_names n
         JOIN unnest($1::uuid[], $2::text[]) AS s (installation_id, name)
           ON n.installation_id = s.installation_id AND n.name = s.name
         WHERE NOT EXISTS (SELECT FROM lanes l WHERE l.installation_id = n.installation_id AND l.lane = n.name
           AND (l.waiting > 0 OR l.leased_until IS NOT NULL))")
    .bind(spelled.iter().map(|(id, _)| value::uuid(id)).collect::<Vec<_>>())
    .bind(spelled.iter().map(|(_, name)| value::text(name)).collect::<Vec<_>>());
    let found = tx.all(found, |row| {
        let installation = InstallationId::from_bytes(value::id(row, "installation_id")?);
        Ok(((installation, value::read_text(row, "name")?), value::read_text(row, "lane")?))
    });
    Ok(found.await?.into_iter().collect())
}

async fn position_of(tx: &mut Tx, tenant: &TenantId, message: MessageId) -> Work<Option<Position>> {
    let found = sql("SELECT lane, rank = 0 AS is_urgent FROM messages WHERE id = $1 AND tenant_id = $2")
        .bind(value::uuid(message.as_bytes()))
        .bind(tenant.to_string());
    let read = |row: &PgRow| {
        Ok(Position { lane: value::read_text(row, "lane")?, is_urgent: row.try_get("is_urgent")? })
    };
    tx.maybe(found, read).await
}

fn insert(placed: &[Placed<'_>]) -> Sql {
    macro_rules! column {
        ($one:ident => $value:expr) => {
            placed.iter().map(|$one| $value).collect::<Vec<_>>()
        };
    }
    sql("INSERT INTO messages (id, tenant_id, installation_id, operation, about, channel, lane, rank, state, attempt,
           accepted_at, expires_at, starts_at, on_uncertain, route, sealed_arguments)
         SELECT id, tenant_id, installation_id, operation, about, channel, lane, rank, 'queued', 0, accepted_at,
           expires_at, starts_at, on_uncertain, route, sealed_arguments
         FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::bigint[],
           $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::bytea[]) WITH ORDINALITY
           AS n (id, tenant_id, installation_id, operation, about, channel, lane, rank, accepted_at, expires_at,
             starts_at, on_uncertain, route, sealed_arguments, nth)
         ORDER BY nth")
    .bind(column!(one => value::uuid(one.all.new.id.as_bytes())))
    .bind(column!(one => one.all.new.tenant.to_string()))
    .bind(column!(one => value::uuid(one.all.new.installation.as_bytes())))
    .bind(column!(one => one.all.new.operation.as_str()))
    .bind(column!(one => one.all.new.about.map(|about| value::uuid(about.as_bytes()))))
    .bind(column!(one => value::text(&one.all.new.channel)))
    .bind(column!(one => value::text(&one.position.lane)))
    .bind(column!(one => i64::from(!one.position.is_urgent)))
    .bind(column!(one => one.all.new.accepted_at.as_micros()))
    .bind(column!(one => one.all.new.expires_at.as_micros()))
    .bind(column!(one => one.all.new.starts_at.map(Timestamp::as_micros)))
    .bind(column!(one => one.all.new.on_uncertain.as_str()))
    .bind(column!(one => value::text_opt(one.all.new.route.as_deref())))
    .bind(column!(one => one.all.sealed_arguments.clone()))
}
