//! Messages that somebody changes after they were accepted, and those whose time has come.

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::outbox::{Change, Changed, MessageState};
use tautline_core::{MessageId, TenantId, Timestamp, limits};

use super::claim::{claimed_columns, read};
use super::lanes::{self, count};
use super::{turns, value};
use crate::limits::REAP_BATCH;

/// Puts a part of what was to wait until now into its lanes.
pub(super) fn begin(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let due = connection
        .prepare_cached(concat!(
            "SELECT ",
            claimed_columns!(),
            " FROM messages m WHERE m.lane = '' AND m.state = 'queued' AND m.starts_at <= ?
             ORDER BY m.starts_at LIMIT ?"
        ))?
        .query_map(params![now.as_micros(), REAP_BATCH], read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for message in &due {
        let lane = lanes::of(connection, message.installation, &message.channel)?;
        connection
            .prepare_cached("UPDATE messages SET lane = ? WHERE id = ?")?
            .execute(params![lane, message.id.as_bytes()])?;
        lanes::join(connection, message.installation, &lane, &message.tenant, false, now)?;
    }
    Ok(())
}

/// Cancels a message, or has it sent after all.
pub(super) fn change(
    connection: &Connection,
    tenant: &TenantId,
    id: MessageId,
    change: Change,
    now: Timestamp,
) -> rusqlite::Result<Changed> {
    let found = connection
        .prepare_cached(concat!(
            "SELECT ",
            claimed_columns!(),
            ", m.state, m.rank, m.starts_at, length(m.sealed_arguments) = 0 AS is_empty FROM messages m
             WHERE m.id = ? AND m.tenant_id = ?"
        ))?
        .query_row(params![id.as_bytes(), tenant.as_str()], |row| {
            let state = value::named(row, "state", MessageState::from_name)?;
            let starts_at = value::time_opt(row, "starts_at")?.filter(|at| *at > now);
            let is_urgent = row.get::<_, u32>("rank")? == 0;
            Ok((read(row)?, state, is_urgent, starts_at, row.get::<_, bool>("is_empty")?))
        })
        .optional()?;
    let Some((message, state, is_urgent, starts_at, is_empty)) = found else { return Ok(Changed::Unknown) };
    match change {
        Change::Cancel if state.can_be_cancelled() => {
            connection
                .prepare_cached("UPDATE messages SET state = 'cancelled', error = NULL WHERE id = ?")?
                .execute([id.as_bytes()])?;
            if state == MessageState::Queued {
                count(connection, &message, -1)?;
            }
            Ok(Changed::Now(MessageState::Cancelled))
        }
        Change::Retry { expires_at } if state.can_be_retried() && message.doubt.is_none() && !is_empty => {
            let expires_at = starts_at.map_or(expires_at, |at| at.after(limits::MESSAGE_LIFE));
            let lane = match message.lane.as_str() {
                // It goes on waiting for its time.
                _ if starts_at.is_some() => String::new(),
                "" => lanes::of(connection, message.installation, &message.channel)?,
                lane => lane.to_owned(),
            };
            connection
                .prepare_cached(
                    "UPDATE messages SET state = 'queued', error = NULL, lane = ?, expires_at = ?,
                       is_possible_duplicate = is_possible_duplicate OR ? WHERE id = ?",
                )?
                .execute(params![lane, expires_at.as_micros(), state.may_have_been_sent(), id.as_bytes()])?;
            turns::count_one(connection, tenant)?;
            if !lane.is_empty() {
                lanes::join(connection, message.installation, &lane, tenant, is_urgent, now)?;
            }
            Ok(Changed::Now(MessageState::Queued))
        }
        _ => Ok(Changed::Not(state)),
    }
}

/// Gives a message that was never tried other arguments.
pub(super) fn rewrite(
    connection: &Connection,
    tenant: &TenantId,
    id: MessageId,
    sealed: &[u8],
) -> rusqlite::Result<bool> {
    let rewritten = connection
        .prepare_cached(
            "UPDATE messages SET sealed_arguments = ?
             WHERE id = ? AND tenant_id = ? AND state = 'queued' AND attempt = 0",
        )?
        .execute(params![sealed, id.as_bytes(), tenant.as_str()])?;
    Ok(rewritten == 1)
}
