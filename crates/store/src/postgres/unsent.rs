//! What a dead sender leaves behind, and what waited too long.

use sqlx::postgres::PgRow;
use tautline_core::delivery::Reap;
use tautline_core::settlement::Settlement;
use tautline_core::{InstallationId, StoreResult, TenantId, Timestamp};

use super::claim::{claimed_columns, read};
use super::clock::DatabaseClock;
use super::database::{Database, Tx, sql};
use super::failure::Work;
use super::lanes::count_off;
use super::settle::settle;
use super::value;
use crate::limits::REAP_BATCH;

pub(super) async fn reap(
    database: &Database,
    clock: &DatabaseClock,
    now: Timestamp,
    which: Reap,
) -> StoreResult<usize> {
    let mut changed = 0;
    loop {
        let mut tx = database.write().await?;
        let mut batch = settle_interrupted(&mut tx, clock, now, which).await?;
        tx.finish(()).await?;
        let mut tx = database.write().await?;
        batch += expire(&mut tx, now).await?;
        tx.finish(()).await?;
        changed += batch;
        // Before a server begins there is no traffic to stay short for, and everything must be taken back.
        if which == Reap::RunOut || batch == 0 {
            return Ok(changed);
        }
    }
}

/// What was on its way when its sender died may stand in the channel.
async fn settle_interrupted(tx: &mut Tx, clock: &DatabaseClock, now: Timestamp, which: Reap) -> Work<usize> {
    let until = match which {
        Reap::All => i64::MAX,
        Reap::RunOut => clock.database_us(now),
    };
    let orphans = sql(concat!(
        "SELECT ",
        claimed_columns!(),
        ", l.leased_until FROM lanes l JOIN messages m
               ON m.installation_id = l.installation_id AND m.lane = l.lane AND m.state = 'sending'
             WHERE l.leased_until <= $1 ORDER BY m.tenant_id COLLATE \"C\" LIMIT $2 FOR UPDATE SKIP LOCKED"
    ))
    .bind(until)
    .bind(REAP_BATCH);
    let orphan = |row: &PgRow| Ok((read(row)?, clock.own(value::number(row, "leased_until")?)));
    let orphans = tx.all(orphans, orphan).await?;
    for (message, leased_until) in &orphans {
        settle(tx, clock, message, &Settlement::interrupted(message, *leased_until, now)).await?;
    }
    Ok(orphans.len())
}

/// A part of what waits for an installation that is gone.
pub(super) async fn fail(
    tx: &mut Tx,
    tenant: &TenantId,
    installation: InstallationId,
    error: &str,
) -> Work<usize> {
    let fail = sql(concat!(
        "UPDATE messages m SET state = 'failed', error = $1 WHERE m.id IN (
           SELECT id FROM messages WHERE tenant_id = $2 AND installation_id = $3 AND state = 'queued'
           LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING ",
        claimed_columns!()
    ))
    .bind(value::text(error))
    .bind(tenant.to_string())
    .bind(value::uuid(installation.as_bytes()))
    .bind(REAP_BATCH);
    let failed = tx.all(fail, read).await?;
    count_off(tx, &failed).await?;
    Ok(failed.len())
}

async fn expire(tx: &mut Tx, now: Timestamp) -> Work<usize> {
    let expire = sql(concat!(
        "UPDATE messages m SET state = 'expired' WHERE m.id IN (
           SELECT id FROM messages WHERE state = 'queued' AND expires_at <= $1
           ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING ",
        claimed_columns!()
    ))
    .bind(now.as_micros())
    .bind(REAP_BATCH);
    let old = tx.all(expire, read).await?;
    count_off(tx, &old).await?;
    Ok(old.len())
}
