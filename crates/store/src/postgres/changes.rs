//! Messages that somebody changes after they were accepted, and those whose time has come.

use sqlx::Row as _;
use tautline_core::outbox::{Change, Changed, MessageState};
use tautline_core::{MessageId, TenantId, Timestamp, limits};

use super::claim::{claimed_columns, read};
use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::lanes::{self, Joining, count_off};
use super::value;
use crate::limits::REAP_BATCH;

/// Puts a part of what was to wait until now into its lanes.
pub(super) async fn begin(tx: &mut Tx, clock: &DatabaseClock, now: Timestamp) -> Work<()> {
    let due = sql(concat!(
        "SELECT ",
        claimed_columns!(),
        " FROM messages m WHERE m.lane = '' AND m.state = 'queued' AND m.starts_at <= $1
         ORDER BY m.starts_at LIMIT $2 FOR UPDATE SKIP LOCKED"
    ))
    .bind(now.as_micros())
    .bind(REAP_BATCH);
    let due = tx.all(due, read).await?;
    if due.is_empty() {
        return Ok(());
    }
    let mut joining = Vec::new();
    for message in &due {
        let lane = lanes::of(tx, message.installation, &message.channel).await?;
        tx.execute(
            sql("UPDATE messages SET lane = $1 WHERE id = $2")
                .bind(value::text(&lane))
                .bind(value::uuid(message.id.as_bytes())),
        )
        .await?;
        let lane = Some((message.installation, lane));
        joining.push(Joining { lane, tenant: &message.tenant, is_urgent: false, counts: false });
    }
    lanes::join(tx, clock, &joining, now).await?;
    Ok(())
}

/// Cancels a message, or has it sent after all.
pub(super) async fn change(
    tx: &mut Tx,
    clock: &DatabaseClock,
    tenant: &TenantId,
    id: MessageId,
    change: Change,
    now: Timestamp,
) -> Work<Changed> {
    let found = sql(concat!(
        "SELECT ",
        claimed_columns!(),
        ", m.state, m.rank, m.starts_at, length(m.sealed_arguments) = 0 AS is_empty FROM messages m
         WHERE m.id = $1 AND m.tenant_id = $2 FOR UPDATE"
    ))
    .bind(value::uuid(id.as_bytes()))
    .bind(tenant.to_string());
    let found = tx.maybe(found, |row| {
        let state = value::named(row, "state", MessageState::from_name)?;
        let is_urgent = row.try_get::<i64, _>("rank")? == 0;
        let starts_at = value::time_opt(row, "starts_at")?.filter(|at| *at > now);
        Ok((read(row)?, state, is_urgent, starts_at, row.try_get::<bool, _>("is_empty")?))
    });
    let Some((message, state, is_urgent, starts_at, is_empty)) = found.await? else {
        return Ok(Changed::Unknown);
    };
    match change {
        Change::Cancel if state.can_be_cancelled() => {
            tx.execute(
                sql("UPDATE messages SET state = 'cancelled', error = NULL WHERE id = $1")
                    .bind(value::uuid(id.as_bytes())),
            )
            .await?;
            if state == MessageState::Queued {
                count_off(tx, &[message]).await?;
            }
            Ok(Changed::Now(MessageState::Cancelled))
        }
        Change::Retry { expires_at } if state.can_be_retried() && message.doubt.is_none() && !is_empty => {
            let expires_at = starts_at.map_or(expires_at, |at| at.after(limits::MESSAGE_LIFE));
            let lane = match message.lane.as_str() {
                // It goes on waiting for its time.
                _ if starts_at.is_some() => String::new(),
                "" => lanes::of(tx, message.installation, &message.channel).await?,
                lane => lane.to_owned(),
            };
            tx.execute(
                sql("UPDATE messages SET state = 'queued', error = NULL, lane = $1, expires_at = $2,
                       is_possible_duplicate = is_possible_duplicate OR $3 WHERE id = $4")
                .bind(value::text(&lane))
                .bind(expires_at.as_micros())
                .bind(state.may_have_been_sent())
                .bind(value::uuid(id.as_bytes())),
            )
            .await?;
            let lane = Some((message.installation, lane)).filter(|(_, lane)| !lane.is_empty());
            lanes::join(tx, clock, &[Joining { lane, tenant, is_urgent, counts: true }], now).await?;
            Ok(Changed::Now(MessageState::Queued))
        }
        _ => Ok(Changed::Not(state)),
    }
}

/// Gives a message that was never tried other arguments.
pub(super) async fn rewrite(tx: &mut Tx, tenant: &TenantId, id: MessageId, sealed: Vec<u8>) -> Work<bool> {
    let rewrite = sql("UPDATE messages SET sealed_arguments = $1
                       WHERE id = $2 AND tenant_id = $3 AND state = 'queued' AND attempt = 0")
    .bind(sealed)
    .bind(value::uuid(id.as_bytes()))
    .bind(tenant.to_string());
    Ok(tx.execute(rewrite).await? == 1)
}
