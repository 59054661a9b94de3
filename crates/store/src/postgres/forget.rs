//! What is older than it is kept for, deleted in parts. Nothing that still waits is deleted by age. Replicas that do
//! this at the same time leave each other's rows alone.

use sqlx::Row as _;
use tautline_core::keeping::Forgotten;
use tautline_core::{StoreResult, Timestamp, least_at, limits};
use uuid::Uuid;

use super::clock::DatabaseClock;
use super::database::{Database, Sql, Tx, sql};
use super::failure::Work;
use super::value;
use crate::limits::PART;

pub(super) async fn forget(
    database: &Database,
    clock: &DatabaseClock,
    now: Timestamp,
) -> StoreResult<Forgotten> {
    let old = |kept| now.before(kept);
    let ids = |kept| value::uuid(&least_at(old(kept)));
    let keys = old(limits::KEY_KEPT);
    let mut forgotten = Forgotten::default();
    // Each part is a transaction of its own: locks are held for a moment.
    for part in [
        sql("DELETE FROM seen WHERE key IN
               (SELECT key FROM seen WHERE seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(old(limits::SEEN_KEPT).as_micros()),
        sql("DELETE FROM inbox WHERE id IN
               (SELECT id FROM inbox WHERE tenant_id IS NULL AND id < $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(ids(limits::UNCLAIMED_KEPT)),
        sql("WITH gone AS (DELETE FROM inbox WHERE id IN (
               SELECT i.id FROM inbox i WHERE i.id < $1 AND i.answer <> 'waiting' AND NOT EXISTS (
                 SELECT FROM deliveries d WHERE d.request_id = i.id AND d.state IN ('ready', 'leased'))
               ORDER BY i.id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id),
             deliveries_gone AS (DELETE FROM deliveries WHERE request_id IN (SELECT id FROM gone) RETURNING id),
             attempts_gone AS (DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries_gone))
             SELECT FROM gone")
        .bind(ids(limits::RECORD_KEPT)),
        sql("DELETE FROM messages WHERE id IN (
               SELECT id FROM messages WHERE id < $1 AND state NOT IN ('queued', 'sending', 'held') AND doubt_since IS NULL
               ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(ids(limits::RECORD_KEPT)),
        sql("DELETE FROM idempotency_keys WHERE (scope, key) IN
               (SELECT scope, key FROM idempotency_keys WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(keys.as_micros()),
        sql("DELETE FROM connect_links WHERE id IN
               (SELECT id FROM connect_links WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(keys.as_micros()),
        // Installs that nobody claimed: they hold tokens.
        sql("DELETE FROM parked_installs WHERE id IN
               (SELECT id FROM parked_installs WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(now.as_micros()),
        sql("DELETE FROM lanes WHERE (installation_id, lane) IN (SELECT installation_id, lane FROM lanes
               WHERE waiting = 0 AND leased_until IS NULL AND next_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(clock.database_us(keys)),
        sql("DELETE FROM paces WHERE (installation_id, method) IN (SELECT installation_id, method FROM paces
               WHERE used_until < $1 AND rests_until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(clock.database_us(keys)),
        // Those that ended a day ago: Slack has nothing more to say of them.
        sql("DELETE FROM installations WHERE id IN
               (SELECT id FROM installations WHERE removed_at < $1 AND removed_at >= updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)")
        .bind(old(limits::UNCLAIMED_KEPT).as_micros()),
    ] {
        let mut tx = database.write().await?;
        let deleted = tx.execute(part.bind(PART)).await?;
        forgotten.count(tx.finish(deleted).await?, PART as u64);
    }
    forgotten.count(bodies(database, now).await?, PART as u64);
    Ok(forgotten)
}

/// Bodies, and the answers to attempts. What waits when its time comes keeps its body until its record goes.
async fn bodies(database: &Database, now: Timestamp) -> StoreResult<u64> {
    let upto = value::uuid(&least_at(now.before(limits::BODY_KEPT)));
    let mut tx = database.write().await?;
    let next = sql("SELECT id FROM inbox WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3");
    let requests = go_on(&mut tx, "inbox", next, upto).await?;
    let empty = sql("UPDATE inbox i SET sealed_body = '' WHERE i.id = ANY($1) AND i.answer <> 'waiting' AND NOT EXISTS (
                       SELECT FROM deliveries d WHERE d.request_id = i.id AND d.state IN ('ready', 'leased'))");
    tx.execute(empty.bind(requests.clone())).await?;
    let answers = sql("UPDATE attempts SET sealed_answer = NULL WHERE delivery_id IN (
                         SELECT id FROM deliveries WHERE request_id = ANY($1) AND state IN ('delivered', 'dead'))");
    tx.execute(answers.bind(requests.clone())).await?;
    let next = sql("SELECT id FROM messages WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3");
    let messages = go_on(&mut tx, "messages", next, upto).await?;
    let empty = sql("UPDATE messages SET sealed_arguments = ''
                     WHERE id = ANY($1) AND state NOT IN ('queued', 'sending', 'held') AND doubt_since IS NULL");
    tx.execute(empty.bind(messages.clone())).await?;
    tx.finish((requests.len() + messages.len()) as u64).await
}

/// The next rows whose bodies have come of age.
async fn go_on(tx: &mut Tx, what: &'static str, next: Sql, upto: Uuid) -> Work<Vec<Uuid>> {
    let begin = sql("INSERT INTO forgotten (what, upto) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    tx.execute(begin.bind(what).bind(Uuid::nil())).await?;
    let last = sql("SELECT upto FROM forgotten WHERE what = $1 FOR UPDATE SKIP LOCKED").bind(what);
    // Another replica is at it.
    let Some(last) = tx.maybe(last, |row| row.try_get::<Uuid, _>("upto")).await? else {
        return Ok(Vec::new());
    };
    let ids = tx.all(next.bind(last).bind(upto).bind(PART), |row| row.try_get::<Uuid, _>("id")).await?;
    if let Some(last) = ids.last() {
        tx.execute(sql("UPDATE forgotten SET upto = $1 WHERE what = $2").bind(*last).bind(what)).await?;
    }
    Ok(ids)
}
