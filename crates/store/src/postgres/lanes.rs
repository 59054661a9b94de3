//! Lanes: who is next, and when. See `tautline_core::outbox` for the theory of operation.
//!
//! Whoever changes lanes, windows and tenants' counts takes them in this order, and of each kind in the order of their keys, so
//! that nobody waits in a circle.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::looking::Doubt;
use tautline_core::operation::{OnUncertain, Operation};
use tautline_core::outbox::{self, Claim, Claimed, MessageState, Posted};
use tautline_core::pace::{Called, Gate};
use tautline_core::{InstallationId, MessageId, TenantId, Timestamp, limits};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::{paces, value};

/// What [`read`] reads of a message.
macro_rules! claimed_columns {
    () => {
        "m.id, m.tenant_id, m.installation_id, m.operation, m.channel, m.route, m.lane, m.attempt, m.doubt_since,
         m.doubt_at, m.on_uncertain, m.is_possible_duplicate, m.accepted_at, m.expires_at"
    };
}
pub(super) use claimed_columns;

/// A lane's key.
pub(super) type Lane = (InstallationId, String);

/// How many messages of a tenant are queued.
pub(super) async fn waiting(tx: &mut Tx, tenant: &TenantId) -> Work<u32> {
    let waiting = sql("SELECT waiting FROM outbox_waiting WHERE tenant_id = $1").bind(tenant.to_string());
    Ok(tx.maybe(waiting, |row| value::number(row, "waiting")).await?.unwrap_or(0))
}

/// The lane of a channel: by the one that Slack meant by this spelling before, else by the spelling. What waits under the
/// spelling goes first.
pub(super) async fn of(tx: &mut Tx, installation: InstallationId, channel: &str) -> Work<String> {
    let spelled = outbox::lane(channel);
    let known = sql("SELECT lane FROM lane_names n WHERE installation_id = $1 AND name = $2 AND NOT EXISTS (
                       SELECT FROM lanes l WHERE l.installation_id = $1 AND l.lane = $2
                         AND (l.waiting > 0 OR l.leased_until IS NOT NULL))")
    .bind(value::uuid(installation.as_bytes()))
    .bind(value::text(spelled));
    let known = tx.maybe(known, |row| value::read_text(row, "lane")).await?;
    Ok(known.unwrap_or_else(|| spelled.to_owned()))
}

/// Whether Slack has just told which channel it means by a spelling.
pub(super) fn is_news(message: &Claimed, posted: &Posted) -> bool {
    outbox::lane(&message.channel) != posted.channel && message.lane != posted.channel
}

/// Keeps which channel Slack meant.
pub(super) async fn learn(tx: &mut Tx, message: &Claimed, posted: &Posted) -> Work<()> {
    if is_news(message, posted) {
        let spelled = outbox::lane(&message.channel);
        tx.execute(
            sql("INSERT INTO lane_names (installation_id, name, lane) VALUES ($1, $2, $3)
                 ON CONFLICT (installation_id, name) DO UPDATE SET lane = excluded.lane")
            .bind(value::uuid(message.installation.as_bytes()))
            .bind(value::text(spelled))
            .bind(value::text(&posted.channel)),
        )
        .await?;
    }
    Ok(())
}

/// A message that is put at the end of a lane.
pub(super) struct Joining<'m> {
    pub(super) lane: Lane,
    pub(super) tenant: &'m TenantId,
    pub(super) is_urgent: bool,
    /// Whether its tenant has one more that waits: not if it was counted before.
    pub(super) counts: bool,
}

fn quantum() -> i64 {
    value::micros(limits::TURN)
}

/// Puts messages at the ends of their lanes; lanes that had nothing to do get the next turns of their tenants.
pub(super) async fn join(
    tx: &mut Tx,
    clock: &DatabaseClock,
    joining: &[Joining<'_>],
    now: Timestamp,
) -> Work<()> {
    struct Joined<'m> {
        tenant: &'m TenantId,
        messages: i64,
        is_urgent: bool,
    }
    let mut lanes = BTreeMap::<&Lane, Joined<'_>>::new();
    let mut tenants = BTreeMap::<&TenantId, (i64, i64)>::new();
    for one in joining {
        let lane =
            lanes.entry(&one.lane).or_insert(Joined { tenant: one.tenant, messages: 0, is_urgent: false });
        lane.messages += 1;
        lane.is_urgent |= one.is_urgent;
        tenants.entry(one.tenant).or_default().0 += i64::from(one.counts);
    }
    let now_us = clock.database_us(now);
    let insert = sql("INSERT INTO lanes AS l (installation_id, lane, waiting, next_at)
         SELECT j.installation_id, j.lane, j.added, $4
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS j (installation_id, lane, added, nth)
         ORDER BY nth
         ON CONFLICT (installation_id, lane) DO UPDATE SET waiting = l.waiting + excluded.waiting
         RETURNING l.installation_id, l.lane, l.waiting, l.leased_until IS NULL AS is_free")
    .bind(lanes.keys().map(|(installation, _)| value::uuid(installation.as_bytes())).collect::<Vec<_>>())
    .bind(lanes.keys().map(|(_, lane)| value::text(lane)).collect::<Vec<_>>())
    .bind(lanes.values().map(|joined| joined.messages).collect::<Vec<_>>())
    .bind(now_us);
    let now_waiting = tx.all(insert, |row| {
        let lane =
            (InstallationId::from_bytes(value::id(row, "installation_id")?), value::read_text(row, "lane")?);
        Ok((lane, row.try_get::<i64, _>("waiting")?, row.try_get::<bool, _>("is_free")?))
    });
    let mut turning = Vec::new();
    for (lane, waiting, is_free) in now_waiting.await? {
        let Some(joined) = lanes.get(&lane) else { continue };
        let is_ready_by_it = waiting == joined.messages && is_free;
        if joined.is_urgent {
            turning.push((lane, None, is_ready_by_it));
        } else if is_ready_by_it {
            let (_, turns) = tenants.entry(joined.tenant).or_default();
            turning.push((lane, Some((joined.tenant, *turns)), true));
            *turns += 1;
        }
    }
    let ends = count(tx, &tenants, now_us).await?;
    let turn = |of: &Option<(&TenantId, i64)>| match of {
        Some((tenant, nth)) => {
            ends.get(*tenant).map_or(now_us, |end| end - (tenants[tenant].1 - nth) * quantum())
        }
        None => now_us,
    };
    if turning.is_empty() {
        return Ok(());
    }
    tx.execute(
        sql("UPDATE lanes l SET turn = CASE WHEN t.is_new THEN t.turn ELSE least(l.turn, t.turn) END
             FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) AS t (installation_id, lane, turn, is_new)
             WHERE l.installation_id = t.installation_id AND l.lane = t.lane")
        .bind(turning.iter().map(|((id, _), ..)| value::uuid(id.as_bytes())).collect::<Vec<_>>())
        .bind(turning.iter().map(|((_, lane), ..)| value::text(lane)).collect::<Vec<_>>())
        .bind(turning.iter().map(|(_, of, _)| turn(of)).collect::<Vec<_>>())
        .bind(turning.iter().map(|(.., is_new)| *is_new).collect::<Vec<_>>()),
    )
    .await?;
    Ok(())
}

/// Counts what waits of each tenant, and takes so many turns of it. The ends of those turns.
async fn count(
    tx: &mut Tx,
    tenants: &BTreeMap<&TenantId, (i64, i64)>,
    now_us: i64,
) -> Work<BTreeMap<TenantId, i64>> {
    let counted = sql("INSERT INTO outbox_waiting AS w (tenant_id, waiting, turn_at)
         SELECT c.tenant_id, c.added, $4 + c.turns * $5
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS c (tenant_id, added, turns, nth)
         ORDER BY nth
         ON CONFLICT (tenant_id) DO UPDATE SET waiting = w.waiting + excluded.waiting,
           turn_at = CASE WHEN excluded.turn_at > $4 THEN greatest(w.turn_at, $4) + excluded.turn_at - $4
                     ELSE w.turn_at END
         RETURNING w.tenant_id, w.turn_at")
    .bind(tenants.keys().map(ToString::to_string).collect::<Vec<_>>())
    .bind(tenants.values().map(|(added, _)| *added).collect::<Vec<_>>())
    .bind(tenants.values().map(|(_, turns)| *turns).collect::<Vec<_>>())
    .bind(now_us)
    .bind(quantum());
    let ends = tx.all(counted, |row| Ok((value::parsed(row, "tenant_id")?, row.try_get("turn_at")?))).await?;
    Ok(ends.into_iter().collect())
}

/// One more message of a tenant waits, in no lane yet.
pub(super) async fn count_one(tx: &mut Tx, tenant: &TenantId) -> Work<()> {
    tx.execute(
        sql("INSERT INTO outbox_waiting AS w (tenant_id, waiting) VALUES ($1, 1)
             ON CONFLICT (tenant_id) DO UPDATE SET waiting = w.waiting + 1")
        .bind(tenant.to_string()),
    )
    .await?;
    Ok(())
}

/// A message waits in its lane again.
pub(super) async fn count_again(tx: &mut Tx, message: &Claimed) -> Work<()> {
    tx.execute(
        sql("UPDATE lanes SET waiting = waiting + 1 WHERE installation_id = $1 AND lane = $2")
            .bind(value::uuid(message.installation.as_bytes()))
            .bind(value::text(&message.lane)),
    )
    .await?;
    tx.execute(
        sql("UPDATE outbox_waiting SET waiting = waiting + 1 WHERE tenant_id = $1")
            .bind(message.tenant.to_string()),
    )
    .await?;
    Ok(())
}

/// Messages of several lanes are queued no more. All lanes first, and then all counts, each in their order.
pub(super) async fn count_off(tx: &mut Tx, messages: &[Claimed]) -> Work<()> {
    let installations =
        messages.iter().map(|message| value::uuid(message.installation.as_bytes())).collect::<Vec<_>>();
    let lanes = messages.iter().map(|message| value::text(&message.lane)).collect::<Vec<_>>();
    let tenants = messages.iter().map(|message| message.tenant.to_string()).collect::<Vec<_>>();
    let lock = sql(
        "SELECT FROM lanes WHERE (installation_id, lane) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
                    ORDER BY installation_id, lane COLLATE \"C\" FOR UPDATE",
    );
    tx.execute(lock.bind(installations.clone()).bind(lanes.clone())).await?;
    tx.execute(
        sql("UPDATE lanes l SET waiting = l.waiting - c.gone
             FROM (SELECT installation_id, lane, count(*) AS gone
                   FROM unnest($1::uuid[], $2::text[]) AS m (installation_id, lane) GROUP BY 1, 2) AS c
             WHERE l.installation_id = c.installation_id AND l.lane = c.lane")
        .bind(installations)
        .bind(lanes),
    )
    .await?;
    count_off_tenants(tx, tenants).await
}

async fn count_off_tenants(tx: &mut Tx, tenants: Vec<String>) -> Work<()> {
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

/// When the next lane could move.
pub(super) async fn due(tx: &mut Tx, clock: &DatabaseClock) -> Work<Option<Timestamp>> {
    let due = sql(
        "SELECT (SELECT min(next_at) FROM lanes WHERE waiting > 0 AND leased_until IS NULL) AS next_at,
                     (SELECT min(starts_at) FROM messages WHERE lane = '' AND state = 'queued') AS starts_at",
    );
    tx.one(due, |row| {
        let next_at = row.try_get::<Option<i64>, _>("next_at")?.map(|at| clock.own(at));
        Ok([next_at, value::time_opt(row, "starts_at")?].into_iter().flatten().min())
    })
    .await
}

/// Takes the heads of lanes that are due and that nobody else is just taking, their arguments still sealed. What the pace holds
/// back moves its lane to when it may go.
pub(super) async fn claim(
    tx: &mut Tx,
    clock: &DatabaseClock,
    claim: &Claim,
) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let heads = heads(tx, clock, claim).await?;
    if heads.is_empty() {
        return Ok(heads);
    }
    let calls: Vec<Called> =
        heads.iter().map(|(message, _)| (message.installation, message.operation.method())).collect();
    let windows = paces::lock(tx, clock, &calls).await?;
    let mut gate = Gate::new(&claim.paces, claim.now, windows);
    let (mut passed, mut held_back) = (Vec::new(), Vec::new());
    for (head, call) in heads.into_iter().zip(calls) {
        match gate.pass(call) {
            Ok(()) => passed.push(head),
            Err(at) => held_back.push((head.0, at)),
        }
    }
    for (message, at) in &held_back {
        move_to(tx, clock, message.installation, &message.lane, *at).await?;
    }
    paces::keep(tx, clock, &gate.into_windows()).await?;
    take(tx, clock, passed, claim.leased_until).await
}

async fn heads(tx: &mut Tx, clock: &DatabaseClock, claim: &Claim) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let heads = sql(concat!(
        "SELECT ",
        claimed_columns!(),
        ", m.sealed_arguments, a.state AS about_state, a.posted_channel AS about_channel, a.ts AS about_ts
         FROM (SELECT installation_id, lane, turn FROM lanes
               WHERE waiting > 0 AND leased_until IS NULL AND next_at <= $1
               ORDER BY turn LIMIT $2 FOR UPDATE SKIP LOCKED) AS l
         CROSS JOIN LATERAL (
           SELECT * FROM messages
           WHERE installation_id = l.installation_id AND lane = l.lane
             AND (state = 'queued' OR doubt_since IS NOT NULL) AND state IN ('queued', 'uncertain')
             AND (expires_at > $3 OR doubt_since IS NOT NULL)
           ORDER BY rank, seq LIMIT 1) AS m
         LEFT JOIN messages a ON a.id = m.about
         ORDER BY l.turn"
    ))
    .bind(clock.database_us(claim.now))
    .bind(value::limit(claim.most))
    .bind(claim.now.as_micros());
    tx.all(heads, |row| {
        let message = read(row)?;
        let claimed = Claimed { attempt: message.attempt + 1, about: about(row)?, ..message };
        Ok((claimed, row.try_get("sealed_arguments")?))
    })
    .await
}

async fn take(
    tx: &mut Tx,
    clock: &DatabaseClock,
    heads: Vec<(Claimed, Vec<u8>)>,
    leased_until: Timestamp,
) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let ids = heads.iter().map(|(message, _)| value::uuid(message.id.as_bytes())).collect::<Vec<_>>();
    // Somebody may have ended one since it was looked at.
    let take = sql("UPDATE messages SET state = 'sending', attempt = attempt + 1 WHERE id IN (
                      SELECT id FROM messages WHERE id = ANY($1)
                        AND (state = 'queued' OR state = 'uncertain' AND doubt_since IS NOT NULL)
                      FOR UPDATE SKIP LOCKED)
                    RETURNING id");
    let taken = tx.all(take.bind(ids), |row| value::id(row, "id")).await?;
    let claimed =
        heads.into_iter().filter(|(message, _)| taken.contains(message.id.as_bytes())).collect::<Vec<_>>();
    if claimed.is_empty() {
        return Ok(claimed);
    }
    let installations = claimed.iter().map(|(message, _)| value::uuid(message.installation.as_bytes()));
    let installations = installations.collect::<Vec<_>>();
    let lanes = claimed.iter().map(|(message, _)| value::text(&message.lane)).collect::<Vec<_>>();
    let tenants = claimed.iter().map(|(message, _)| message.tenant.to_string()).collect::<Vec<_>>();
    tx.execute(
        sql("UPDATE lanes l SET leased_until = $1, waiting = waiting - 1
             FROM unnest($2::uuid[], $3::text[]) AS c (installation_id, lane)
             WHERE l.installation_id = c.installation_id AND l.lane = c.lane")
        .bind(clock.database_us(leased_until))
        .bind(installations)
        .bind(lanes),
    )
    .await?;
    count_off_tenants(tx, tenants).await?;
    Ok(claimed)
}

/// A lane rests until then.
pub(super) async fn move_to(
    tx: &mut Tx,
    clock: &DatabaseClock,
    installation: InstallationId,
    lane: &str,
    at: Timestamp,
) -> Work<()> {
    tx.execute(
        sql("UPDATE lanes SET next_at = greatest(next_at, $1) WHERE installation_id = $2 AND lane = $3")
            .bind(clock.database_us(at))
            .bind(value::uuid(installation.as_bytes()))
            .bind(value::text(lane)),
    )
    .await?;
    Ok(())
}

fn about(row: &PgRow) -> sqlx::Result<Option<(MessageState, Option<Posted>)>> {
    if row.try_get::<Option<String>, _>("about_state")?.is_none() {
        return Ok(None);
    }
    let posted = match (value::read_text_opt(row, "about_channel")?, value::read_text_opt(row, "about_ts")?) {
        (Some(channel), Some(ts)) => Some(Posted { channel, ts }),
        _ => None,
    };
    Ok(Some((value::named(row, "about_state", MessageState::from_name)?, posted)))
}

pub(super) fn read(row: &PgRow) -> sqlx::Result<Claimed> {
    let doubt = match (value::time_opt(row, "doubt_since")?, value::time_opt(row, "doubt_at")?) {
        (Some(since), Some(at)) => Some(Doubt { since, at }),
        _ => None,
    };
    Ok(Claimed {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        operation: value::named(row, "operation", Operation::from_name)?,
        about: None,
        channel: value::read_text(row, "channel")?,
        route: value::read_text_opt(row, "route")?,
        lane: value::read_text(row, "lane")?,
        attempt: value::number(row, "attempt")?,
        doubt,
        on_uncertain: value::named(row, "on_uncertain", OnUncertain::from_name)?,
        is_possible_duplicate: row.try_get("is_possible_duplicate")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        arguments: Bytes::new(),
    })
}

/// How a lane that was leased goes on.
pub(super) struct Free<'m> {
    pub(super) message: &'m Claimed,
    /// When it may move again.
    pub(super) next_at: Timestamp,
    /// Its head tries in vain.
    pub(super) is_parked: bool,
}

/// Frees lanes. What waits in them must be counted by then.
pub(super) async fn free(tx: &mut Tx, clock: &DatabaseClock, lanes: &[Free<'_>], now: Timestamp) -> Work<()> {
    let now_us = clock.database_us(now);
    let key = |free: &Free<'_>| value::uuid(free.message.installation.as_bytes());
    let freed = sql("UPDATE lanes l SET leased_until = NULL, next_at = f.next_at,
           parked_since = CASE WHEN f.is_parked THEN coalesce(l.parked_since, $5) END
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) AS f (installation_id, lane, next_at, is_parked)
         WHERE l.installation_id = f.installation_id AND l.lane = f.lane
         RETURNING l.installation_id, l.lane, l.waiting > 0 AS waits, EXISTS (
           SELECT FROM messages m WHERE m.installation_id = l.installation_id AND m.lane = l.lane AND m.rank = 0
             AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)) AS is_urgent")
    .bind(lanes.iter().map(key).collect::<Vec<_>>())
    .bind(lanes.iter().map(|free| value::text(&free.message.lane)).collect::<Vec<_>>())
    .bind(lanes.iter().map(|free| clock.database_us(free.next_at)).collect::<Vec<_>>())
    .bind(lanes.iter().map(|free| free.is_parked).collect::<Vec<_>>())
    .bind(now_us);
    let freed = tx.all(freed, |row| {
        let lane =
            (InstallationId::from_bytes(value::id(row, "installation_id")?), value::read_text(row, "lane")?);
        Ok((lane, row.try_get::<bool, _>("waits")?, row.try_get::<bool, _>("is_urgent")?))
    });
    let of = lanes
        .iter()
        .map(|free| ((free.message.installation, free.message.lane.clone()), &free.message.tenant));
    let of = of.collect::<BTreeMap<_, _>>();
    let (mut turning, mut tenants) = (Vec::new(), BTreeMap::<&TenantId, (i64, i64)>::new());
    for (lane, waits, is_urgent) in freed.await? {
        let Some(tenant) = of.get(&lane).copied().filter(|_| waits) else { continue };
        let (_, turns) = tenants.entry(tenant).or_default();
        turning.push((lane, (!is_urgent).then_some((tenant, *turns))));
        *turns += 1;
    }
    if turning.is_empty() {
        return Ok(());
    }
    let ends = count(tx, &tenants, now_us).await?;
    let turn = |of: &Option<(&TenantId, i64)>| match of {
        Some((tenant, nth)) => {
            ends.get(*tenant).map_or(now_us, |end| end - (tenants[tenant].1 - nth) * quantum())
        }
        None => now_us,
    };
    tx.execute(
        sql("UPDATE lanes l SET turn = greatest(l.next_at, t.turn)
             FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS t (installation_id, lane, turn)
             WHERE l.installation_id = t.installation_id AND l.lane = t.lane")
        .bind(turning.iter().map(|((id, _), _)| value::uuid(id.as_bytes())).collect::<Vec<_>>())
        .bind(turning.iter().map(|((_, lane), _)| value::text(lane)).collect::<Vec<_>>())
        .bind(turning.iter().map(|(_, of)| turn(of)).collect::<Vec<_>>()),
    )
    .await?;
    Ok(())
}

/// When lanes may move next, as they stand; nobody else changes them until this is done.
pub(super) async fn hold(
    tx: &mut Tx,
    clock: &DatabaseClock,
    messages: &[&Claimed],
) -> Work<BTreeMap<Lane, Timestamp>> {
    let held = sql("SELECT installation_id, lane, next_at FROM lanes
         WHERE (installation_id, lane) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
         ORDER BY installation_id, lane COLLATE \"C\" FOR UPDATE")
    .bind(messages.iter().map(|one| value::uuid(one.installation.as_bytes())).collect::<Vec<_>>())
    .bind(messages.iter().map(|one| value::text(&one.lane)).collect::<Vec<_>>());
    let held = tx.all(held, |row| {
        let lane =
            (InstallationId::from_bytes(value::id(row, "installation_id")?), value::read_text(row, "lane")?);
        Ok((lane, clock.own(row.try_get("next_at")?)))
    });
    Ok(held.await?.into_iter().collect())
}

/// When a lane may move next, as it stands; nobody else changes it until this is done.
pub(super) async fn next_at(
    tx: &mut Tx,
    clock: &DatabaseClock,
    installation: InstallationId,
    lane: &str,
) -> Work<Option<Timestamp>> {
    let found = sql("SELECT next_at FROM lanes WHERE installation_id = $1 AND lane = $2 FOR UPDATE")
        .bind(value::uuid(installation.as_bytes()))
        .bind(value::text(lane));
    tx.maybe(found, |row| Ok(clock.own(row.try_get("next_at")?))).await
}

/// Lanes whose head has tried in vain since then or longer.
pub(super) async fn parked(tx: &mut Tx, clock: &DatabaseClock, since: Timestamp) -> Work<u32> {
    let parked = sql("SELECT count(*) AS parked FROM lanes WHERE parked_since <= $1");
    tx.one(parked.bind(clock.database_us(since)), |row| value::number(row, "parked")).await
}
