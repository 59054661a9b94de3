//! How much of Slack's methods each workspace has used up. See `tautline_core::pace`.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::outbox::{Passing, Turn};
use tautline_core::pace::{Called, Window};
use tautline_core::{InstallationId, Timestamp};

use super::{lanes, value};

pub(super) fn find(
    connection: &Connection,
    installation: InstallationId,
    method: &str,
) -> rusqlite::Result<Window> {
    let found = connection
        .prepare_cached(
            "SELECT used_until, rests_until, limited_lane, limited_until, slow_until FROM paces
             WHERE installation_id = ? AND method = ?",
        )?
        .query_row(params![installation.as_bytes(), method], read)
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Window> {
    let limited = match (row.get("limited_lane")?, value::time_opt(row, "limited_until")?) {
        (Some(lane), Some(until)) => Some((lane, until)),
        _ => None,
    };
    Ok(Window {
        used_until: value::time(row, "used_until")?,
        rests_until: value::time(row, "rests_until")?,
        limited,
        slow_until: value::time(row, "slow_until")?,
    })
}

pub(super) fn keep(
    connection: &Connection,
    installation: InstallationId,
    method: &str,
    window: &Window,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO paces (installation_id, method, used_until, rests_until, limited_lane,
               limited_until, slow_until) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            installation.as_bytes(),
            method,
            window.used_until.as_micros(),
            window.rests_until.as_micros(),
            window.limited.as_ref().map(|(lane, _)| lane),
            window.limited.as_ref().map(|(_, until)| until.as_micros()),
            window.slow_until.as_micros(),
        ])?;
    Ok(())
}

/// A turn for a call that goes past the outbox.
pub(super) fn take_turn(
    connection: &Connection,
    call: &Passing,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Turn> {
    let rule = call.paces.rule(call.method);
    let mut window = find(connection, call.installation, call.method)?;
    let lane = match &call.channel {
        Some(channel) => Some(lanes::of(connection, call.installation, channel)?),
        None => None,
    };
    let free_at = match &lane {
        Some(lane) => lanes::next_at(connection, call.installation, lane)?.unwrap_or(now),
        None => now,
    };
    let at = free_at.max(rule.map_or(now, |rule| window.free_at(rule, now)));
    if at > until {
        return Ok(Turn::Later(at));
    }
    if let Some(rule) = rule {
        window.reserve(rule, at);
        keep(connection, call.installation, call.method, &window)?;
    }
    if let Some(lane) = lane {
        let next_at = call.paces.channel.next_free(free_at, at);
        lanes::used(connection, call.installation, &lane, next_at)?;
    }
    Ok(Turn::At(at))
}

/// Slack refused such a call.
pub(super) fn limited(
    connection: &Connection,
    call: &Passing,
    until: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let lane = match &call.channel {
        Some(channel) => lanes::of(connection, call.installation, channel)?,
        None => String::new(),
    };
    rest(connection, (call.installation, call.method), &lane, until, now)?;
    lanes::rest(connection, call.installation, &lane, until)
}

/// A window rests as Slack asked for, of which a post was refused in a lane.
pub(super) fn rest(
    connection: &Connection,
    (installation, method): Called,
    lane: &str,
    until: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut window = find(connection, installation, method)?;
    window.limited(method, lane, until, now);
    keep(connection, installation, method, &window)
}
