//! Claiming: the heads of lanes that are due, in the order of their turns, as far as Slack's pace allows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::looking::Doubt;
use tautline_core::operation::{OnUncertain, Operation};
use tautline_core::outbox::{Claim, Claimed, MessageState, Posted};
use tautline_core::pace::{Called, Gate};
use tautline_core::{InstallationId, MessageId, Timestamp};

use super::{lanes, paces, value};

/// What [`read`] reads of a message.
macro_rules! claimed_columns {
    () => {
        "m.id, m.tenant_id, m.installation_id, m.operation, m.channel, m.route, m.lane, m.attempt, m.doubt_since,
         m.doubt_at, m.on_uncertain, m.is_possible_duplicate, m.accepted_at, m.expires_at"
    };
}
pub(super) use claimed_columns;

/// Takes the heads of lanes that are due, their arguments still sealed. What the pace holds back moves its lane to when it may
/// go.
pub(super) fn claim(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<(Claimed, Vec<u8>)>> {
    let heads = heads(connection, claim)?;
    let mut windows = HashMap::new();
    for (message, _) in &heads {
        let call: Called = (message.installation, message.operation.method());
        if let Entry::Vacant(unknown) = windows.entry(call) {
            unknown.insert(paces::find(connection, call.0, call.1)?);
        }
    }
    let mut gate = Gate::new(&claim.paces, claim.now, windows);
    let mut claimed = Vec::new();
    for (message, sealed) in heads {
        match gate.pass((message.installation, message.operation.method())) {
            Ok(()) => {
                take(connection, &message, claim.leased_until)?;
                claimed.push((message, sealed));
            }
            Err(at) => lanes::rest(connection, message.installation, &message.lane, at)?,
        }
    }
    for ((installation, method), window) in gate.into_windows() {
        paces::keep(connection, installation, method, &window)?;
    }
    Ok(claimed)
}

fn heads(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<(Claimed, Vec<u8>)>> {
    let due = connection
        .prepare_cached(
            "SELECT installation_id, lane FROM lanes
             WHERE waiting > 0 AND leased_until IS NULL AND next_at <= ? ORDER BY turn LIMIT ?",
        )?
        .query_map(params![claim.now.as_micros(), value::limit(claim.most)], |row| {
            Ok((value::id(row, 0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<([u8; 16], String)>>>()?;
    let mut head = connection.prepare_cached(concat!(
        "SELECT ",
        claimed_columns!(),
        ", m.sealed_arguments, a.state AS about_state, a.posted_channel AS about_channel, a.ts AS about_ts
         FROM messages m LEFT JOIN messages a ON a.id = m.about
         WHERE m.installation_id = ? AND m.lane = ? AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)
           AND m.state IN ('queued', 'uncertain')
           AND (m.expires_at > ? OR m.doubt_since IS NOT NULL) ORDER BY m.rank, m.seq LIMIT 1"
    ))?;
    let mut found = Vec::new();
    for (installation, lane) in due {
        let read = |row: &Row<'_>| {
            let message = read(row)?;
            let about = about(row)?;
            Ok((
                Claimed { attempt: message.attempt + 1, about, ..message },
                row.get::<_, Vec<u8>>("sealed_arguments")?,
            ))
        };
        found.extend(head.query_row(params![installation, lane, claim.now.as_micros()], read).optional()?);
    }
    Ok(found)
}

fn take(connection: &Connection, message: &Claimed, leased_until: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE messages SET state = 'sending', attempt = ? WHERE id = ?")?
        .execute(params![message.attempt, message.id.as_bytes()])?;
    connection
        .prepare_cached("UPDATE lanes SET leased_until = ? WHERE installation_id = ? AND lane = ?")?
        .execute(params![leased_until.as_micros(), message.installation.as_bytes(), message.lane])?;
    lanes::count(connection, message, -1)
}

fn about(row: &Row<'_>) -> rusqlite::Result<Option<(MessageState, Option<Posted>)>> {
    if row.get::<_, Option<String>>("about_state")?.is_none() {
        return Ok(None);
    }
    let posted = row
        .get::<_, Option<String>>("about_channel")?
        .zip(row.get("about_ts")?)
        .map(|(channel, ts)| Posted { channel, ts });
    Ok(Some((value::named(row, "about_state", MessageState::from_name)?, posted)))
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let doubt = value::time_opt(row, "doubt_since")?
        .zip(value::time_opt(row, "doubt_at")?)
        .map(|(since, at)| Doubt { since, at });
    Ok(Claimed {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        operation: value::named(row, "operation", Operation::from_name)?,
        about: None,
        channel: row.get("channel")?,
        route: row.get("route")?,
        lane: row.get("lane")?,
        attempt: row.get("attempt")?,
        doubt,
        on_uncertain: value::named(row, "on_uncertain", OnUncertain::from_name)?,
        is_possible_duplicate: row.get("is_possible_duplicate")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        arguments: Bytes::new(),
    })
}
