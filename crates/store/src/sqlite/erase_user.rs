//! What a person in Slack said and did, erased in parts.

use rusqlite::{Connection, OptionalExtension, params};
use secrecy::ExposeSecret as _;
use tautline_core::delivery::DeadReason;
use tautline_core::keeping::{ResealCursor, UserErased, names_user};
use tautline_core::{MessageId, RequestId, TenantId, Vault};

use super::claim::{claimed_columns, read};
use super::lanes::count;
use super::value;
use crate::columns::erased;
use crate::limits::RESEAL_PART;
use crate::sealed;

/// What a part of one table holds that names the user, found without keeping the writer.
pub(super) struct Named {
    table: u8,
    ids: Vec<[u8; 16]>,
    looked_at: u64,
    last: Option<Vec<u8>>,
}

pub(super) fn find(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    from: &ResealCursor,
) -> rusqlite::Result<Named> {
    let select = match from.table {
        0 => {
            "SELECT id, '' AS channel, sealed_body AS sealed FROM inbox
              WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?"
        }
        _ => {
            "SELECT id, channel, sealed_arguments AS sealed FROM messages
              WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?"
        }
    };
    let found = connection
        .prepare_cached(select)?
        .query_map(params![tenant.as_str(), from.row, RESEAL_PART], |row| {
            Ok((value::id(row, "id")?, row.get::<_, String>("channel")?, row.get::<_, Vec<u8>>("sealed")?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let names = |(id, channel, sealed): &([u8; 16], String, Vec<u8>)| {
        let opened = match from.table {
            0 => vault.open(sealed::body(Some(tenant), &RequestId::from_bytes(*id)), sealed),
            _ => vault.open(sealed::arguments(tenant, &MessageId::from_bytes(*id)), sealed),
        };
        // What does not open shows nobody anything.
        channel == user || opened.is_ok_and(|content| names_user(content.expose_secret(), user))
    };
    Ok(Named {
        table: from.table,
        looked_at: found.len() as u64,
        last: found.last().map(|(id, ..)| id.to_vec()),
        ids: found.iter().filter(|row| names(row)).map(|(id, ..)| *id).collect(),
    })
}

pub(super) fn erase(connection: &Connection, named: &Named) -> rusqlite::Result<UserErased> {
    let mut part = UserErased { looked_at: named.looked_at, ..UserErased::default() };
    for id in &named.ids {
        match named.table {
            0 => request(connection, id, &mut part)?,
            _ => message(connection, id, &mut part)?,
        }
    }
    part.next = match &named.last {
        Some(row) => Some(ResealCursor { table: named.table, row: row.clone() }),
        None => (named.table == 0).then(|| ResealCursor { table: 1, row: Vec::new() }),
    };
    Ok(part)
}

fn request(connection: &Connection, id: &[u8; 16], part: &mut UserErased) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE inbox SET sealed_body = x'' WHERE id = ?")?.execute([id])?;
    connection
        .prepare_cached(
            "UPDATE attempts SET sealed_answer = NULL
             WHERE delivery_id IN (SELECT id FROM deliveries WHERE request_id = ?)",
        )?
        .execute([id])?;
    // Whoever has it in hand comes too late to have it tried again.
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'dead', dead_reason = ?, next_at = NULL, leased_until = NULL,
               attempt = attempt + 1 WHERE request_id = ? AND state IN ('ready', 'leased')",
        )?
        .execute(params![DeadReason::Erased.as_str(), id])?;
    part.requests += 1;
    Ok(())
}

fn message(connection: &Connection, id: &[u8; 16], part: &mut UserErased) -> rusqlite::Result<()> {
    let found = connection
        .prepare_cached(concat!("SELECT ", claimed_columns!(), ", m.state FROM messages m WHERE m.id = ?"))?
        .query_row([id], |row| Ok((read(row)?, row.get::<_, String>("state")?)))
        .optional()?;
    let Some((message, state)) = found else { return Ok(()) };
    if state == "sending" {
        part.on_their_way += 1;
        return Ok(());
    }
    connection.prepare_cached("UPDATE messages SET sealed_arguments = x'' WHERE id = ?")?.execute([id])?;
    let waits = state == "queued" || message.doubt.is_some();
    if waits || state == "held" {
        connection
            .prepare_cached(
                "UPDATE messages SET state = 'cancelled', error = ?, doubt_since = NULL, doubt_at = NULL WHERE id = ?",
            )?
            .execute(params![erased!(), id])?;
    }
    if waits {
        count(connection, &message, -1)?;
    }
    part.messages += 1;
    Ok(())
}
