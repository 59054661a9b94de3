//! What a dead sender leaves behind, and what waited too long.

use rusqlite::{Connection, params};
use tautline_core::delivery::Reap;
use tautline_core::settlement::Settlement;
use tautline_core::{InstallationId, TenantId, Timestamp};

use super::claim::{claimed_columns, read};
use super::lanes::count;
use super::settle::settle;
use super::value;
use crate::limits::REAP_BATCH;

pub(super) fn reap(connection: &Connection, now: Timestamp, which: Reap) -> rusqlite::Result<usize> {
    let mut changed = 0;
    loop {
        let batch = settle_interrupted(connection, now, which)? + expire(connection, now)?;
        changed += batch;
        // Before a server begins there is no traffic to stay short for, and everything must be taken back.
        if which == Reap::RunOut || batch == 0 {
            return Ok(changed);
        }
    }
}

/// What was on its way when its sender died may stand in the channel.
fn settle_interrupted(connection: &Connection, now: Timestamp, which: Reap) -> rusqlite::Result<usize> {
    let until = match which {
        Reap::All => i64::MAX,
        Reap::RunOut => now.as_micros(),
    };
    let orphans = connection
        .prepare_cached(concat!(
            "SELECT ",
            claimed_columns!(),
            ", l.leased_until FROM lanes l JOIN messages m
               ON m.installation_id = l.installation_id AND m.lane = l.lane AND m.state = 'sending'
             WHERE l.leased_until <= ? LIMIT ?"
        ))?
        .query_map(params![until, REAP_BATCH], |row| Ok((read(row)?, value::time(row, "leased_until")?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (message, leased_until) in &orphans {
        settle(connection, message, &Settlement::interrupted(message, *leased_until, now))?;
    }
    Ok(orphans.len())
}

/// A part of what waits for an installation that is gone.
pub(super) fn fail(
    connection: &Connection,
    tenant: &TenantId,
    installation: InstallationId,
    error: &str,
) -> rusqlite::Result<usize> {
    let waiting = connection
        .prepare_cached(concat!(
            "SELECT ",
            claimed_columns!(),
            " FROM messages m WHERE m.tenant_id = ? AND m.installation_id = ? AND m.state = 'queued' LIMIT ?"
        ))?
        .query_map(params![tenant.as_str(), installation.as_bytes(), REAP_BATCH], read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for message in &waiting {
        connection
            .prepare_cached("UPDATE messages SET state = 'failed', error = ? WHERE id = ?")?
            .execute(params![error, message.id.as_bytes()])?;
        count(connection, message, -1)?;
    }
    Ok(waiting.len())
}

fn expire(connection: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    let old = connection
        .prepare_cached(concat!(
            "SELECT ",
            claimed_columns!(),
            " FROM messages m WHERE m.state = 'queued' AND m.expires_at <= ? ORDER BY m.expires_at LIMIT ?"
        ))?
        .query_map(params![now.as_micros(), REAP_BATCH], read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for message in &old {
        connection
            .prepare_cached("UPDATE messages SET state = 'expired' WHERE id = ?")?
            .execute([message.id.as_bytes()])?;
        count(connection, message, -1)?;
    }
    Ok(old.len())
}
