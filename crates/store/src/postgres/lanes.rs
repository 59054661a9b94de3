//! Lanes: which a message goes into, what waits in each, and when it may move. See `tautline_core::outbox` for the theory of
//! operation; who is claimed of them is in `claim.rs`, the turns that they get in `turns.rs`.
//!
//! Whoever changes lanes, windows and tenants' counts takes them in this order, and of each kind in the order of their keys, so
//! that nobody waits in a circle.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::outbox::{self, Claimed, Posted};
use tautline_core::{InstallationId, TenantId, Timestamp};
use uuid::Uuid;

use super::clock::DatabaseClock;
use super::database::{Sql, Tx, sql};
use super::failure::Work;
use super::turns::{self, Added, Turning, Which};
use super::value;

/// A lane's key.
pub(super) type Lane = (InstallationId, String);

/// The lane in which a message waits.
pub(super) fn key(message: &Claimed) -> Lane {
    (message.installation, message.lane.clone())
}

fn read(row: &PgRow) -> sqlx::Result<Lane> {
    Ok((InstallationId::from_bytes(value::id(row, "installation_id")?), value::read_text(row, "lane")?))
}

/// Lanes as two columns.
fn columns<'l>(lanes: impl IntoIterator<Item = &'l Lane>) -> (Vec<Uuid>, Vec<String>) {
    lanes.into_iter().map(|(id, lane)| (value::uuid(id.as_bytes()), value::text(lane))).unzip()
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

/// Keeps which channel Slack meant.
pub(super) async fn learn(tx: &mut Tx, message: &Claimed, posted: &Posted) -> Work<()> {
    let spelled = outbox::lane(&message.channel);
    tx.execute(
        sql("INSERT INTO lane_names (installation_id, name, lane) VALUES ($1, $2, $3)
             ON CONFLICT (installation_id, name) DO UPDATE SET lane = excluded.lane")
        .bind(value::uuid(message.installation.as_bytes()))
        .bind(value::text(spelled))
        .bind(value::text(&posted.channel)),
    )
    .await?;
    Ok(())
}

/// A message that is put at the end of a lane.
pub(super) struct Joining<'m> {
    /// None: it waits for its time, and is only counted.
    pub(super) lane: Option<Lane>,
    pub(super) tenant: &'m TenantId,
    pub(super) is_urgent: bool,
    /// Whether its tenant has one more that waits: not if it was counted before.
    pub(super) counts: bool,
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
    let (mut lanes, mut added) = (BTreeMap::<&Lane, Joined<'_>>::new(), Added::new());
    for one in joining {
        *added.entry(one.tenant).or_default() += i64::from(one.counts);
        if let Some(lane) = &one.lane {
            let new = Joined { tenant: one.tenant, messages: 0, is_urgent: false };
            let lane = lanes.entry(lane).or_insert(new);
            lane.messages += 1;
            lane.is_urgent |= one.is_urgent;
        }
    }
    let (installations, names) = columns(lanes.keys().copied());
    let insert = sql("INSERT INTO lanes AS l (installation_id, lane, waiting, next_at)
         SELECT j.installation_id, j.lane, j.added, $4
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS j (installation_id, lane, added, nth)
         ORDER BY nth
         ON CONFLICT (installation_id, lane) DO UPDATE SET waiting = l.waiting + excluded.waiting
         RETURNING l.installation_id, l.lane, l.waiting, l.leased_until IS NULL AS is_free")
    .bind(installations)
    .bind(names)
    .bind(lanes.values().map(|joined| joined.messages).collect::<Vec<_>>())
    .bind(clock.database_us(now));
    let stand = tx.all(insert, |row| {
        Ok((read(row)?, row.try_get::<i64, _>("waiting")?, row.try_get::<bool, _>("is_free")?))
    });
    let mut turning = Vec::new();
    for (lane, waiting, is_free) in stand.await? {
        let Some(joined) = lanes.get(&lane) else { continue };
        let is_ready_by_it = waiting == joined.messages && is_free;
        let which = match (joined.is_urgent, is_ready_by_it) {
            (true, true) => Which::AtOnce,
            (true, false) => Which::Sooner,
            (false, true) => Which::Next,
            (false, false) => continue,
        };
        turning.push(Turning { lane, tenant: joined.tenant, which });
    }
    turns::give(tx, clock, &added, &turning, now).await
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
    let lanes = messages.iter().map(key).collect::<Vec<_>>();
    tx.execute(lock(&lanes)).await?;
    let (installations, names) = columns(&lanes);
    tx.execute(
        sql("UPDATE lanes l SET waiting = l.waiting - c.gone
             FROM (SELECT installation_id, lane, count(*) AS gone
                   FROM unnest($1::uuid[], $2::text[]) AS m (installation_id, lane) GROUP BY 1, 2) AS c
             WHERE l.installation_id = c.installation_id AND l.lane = c.lane")
        .bind(installations)
        .bind(names),
    )
    .await?;
    turns::count_off(tx, messages.iter().map(|message| message.tenant.to_string()).collect()).await
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

/// A lane in which nothing waits.
pub(super) async fn make(tx: &mut Tx, clock: &DatabaseClock, lane: &Lane, now: Timestamp) -> Work<()> {
    tx.execute(
        sql("INSERT INTO lanes (installation_id, lane, waiting, next_at) VALUES ($1, $2, 0, $3)
             ON CONFLICT DO NOTHING")
        .bind(value::uuid(lane.0.as_bytes()))
        .bind(value::text(&lane.1))
        .bind(clock.database_us(now)),
    )
    .await?;
    Ok(())
}

/// Lanes rest until then.
pub(super) async fn rest(tx: &mut Tx, clock: &DatabaseClock, resting: &[(Lane, Timestamp)]) -> Work<()> {
    if resting.is_empty() {
        return Ok(());
    }
    let (installations, names) = columns(resting.iter().map(|(lane, _)| lane));
    tx.execute(
        sql("UPDATE lanes l SET next_at = greatest(l.next_at, r.until)
             FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS r (installation_id, lane, until)
             WHERE l.installation_id = r.installation_id AND l.lane = r.lane")
        .bind(installations)
        .bind(names)
        .bind(resting.iter().map(|(_, until)| clock.database_us(*until)).collect::<Vec<_>>()),
    )
    .await?;
    Ok(())
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
pub(super) async fn free(
    tx: &mut Tx,
    clock: &DatabaseClock,
    freeing: &[Free<'_>],
    now: Timestamp,
) -> Work<()> {
    let lanes = freeing.iter().map(|free| key(free.message)).collect::<Vec<_>>();
    let (installations, names) = columns(&lanes);
    let free = sql("UPDATE lanes l SET leased_until = NULL, next_at = f.next_at,
           parked_since = CASE WHEN f.is_parked THEN coalesce(l.parked_since, $5) END
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) AS f (installation_id, lane, next_at, is_parked)
         WHERE l.installation_id = f.installation_id AND l.lane = f.lane
         RETURNING l.installation_id, l.lane, l.waiting > 0 AS waits, EXISTS (
           SELECT FROM messages m WHERE m.installation_id = l.installation_id AND m.lane = l.lane AND m.rank = 0
             AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)) AS is_urgent")
    .bind(installations)
    .bind(names)
    .bind(freeing.iter().map(|free| clock.database_us(free.next_at)).collect::<Vec<_>>())
    .bind(freeing.iter().map(|free| free.is_parked).collect::<Vec<_>>())
    .bind(clock.database_us(now));
    let freed = tx.all(free, |row| {
        Ok((read(row)?, row.try_get::<bool, _>("waits")?, row.try_get::<bool, _>("is_urgent")?))
    });
    let tenants = lanes.iter().zip(freeing).map(|(lane, free)| (lane, &free.message.tenant));
    let tenants = tenants.collect::<BTreeMap<_, _>>();
    let turning =
        freed.await?.into_iter().filter(|(_, waits, _)| *waits).filter_map(|(lane, _, is_urgent)| {
            let tenant = *tenants.get(&lane)?;
            Some(Turning { lane, tenant, which: if is_urgent { Which::AtOnce } else { Which::Next } })
        });
    turns::give(tx, clock, &Added::new(), &turning.collect::<Vec<_>>(), now).await
}

/// When lanes may move next, as they stand; nobody else changes them until this is done.
pub(super) async fn hold(
    tx: &mut Tx,
    clock: &DatabaseClock,
    lanes: &[Lane],
) -> Work<BTreeMap<Lane, Timestamp>> {
    let held = tx.all(lock(lanes), |row| Ok((read(row)?, clock.own(row.try_get("next_at")?))));
    Ok(held.await?.into_iter().collect())
}

fn lock(lanes: &[Lane]) -> Sql {
    let (installations, names) = columns(lanes);
    sql("SELECT installation_id, lane, next_at FROM lanes
         WHERE (installation_id, lane) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
         ORDER BY installation_id, lane COLLATE \"C\" FOR UPDATE")
    .bind(installations)
    .bind(names)
}

/// Lanes whose head has tried in vain since then or longer.
pub(super) async fn parked(tx: &mut Tx, clock: &DatabaseClock, since: Timestamp) -> Work<u32> {
    let parked = sql("SELECT count(*) AS parked FROM lanes WHERE parked_since <= $1");
    tx.one(parked.bind(clock.database_us(since)), |row| value::number(row, "parked")).await
}
