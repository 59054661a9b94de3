//! What a person in Slack said and did, erased in parts.

use rusqlite::{Connection, params};
use secrecy::ExposeSecret as _;
use tautline_core::delivery::DeadReason;
use tautline_core::keeping::{ResealCursor, UserErased, names_user};
use tautline_core::{MessageId, RequestId, TenantId, Vault};

use super::lanes::{count, read};
use super::value;
use crate::columns::erased;
use crate::limits::RESEAL_PART;
use crate::sealed;

pub(super) fn part(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    from: &ResealCursor,
) -> rusqlite::Result<UserErased> {
    let mut part = UserErased::default();
    let last = match from.table {
        0 => requests(connection, vault, tenant, user, &from.row, &mut part)?,
        _ => messages(connection, vault, tenant, user, &from.row, &mut part)?,
    };
    part.next = match last {
        Some(row) => Some(ResealCursor { table: from.table, row }),
        None => (from.table == 0).then(|| ResealCursor { table: 1, row: Vec::new() }),
    };
    Ok(part)
}

fn requests(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    after: &[u8],
    part: &mut UserErased,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let found = connection
        .prepare_cached(
            "SELECT id, sealed_body FROM inbox WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?",
        )?
        .query_map(params![tenant.as_str(), after, RESEAL_PART], |row| {
            Ok((value::id(row, "id")?, row.get::<_, Vec<u8>>("sealed_body")?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (id, sealed) in &found {
        let opened = vault.open(sealed::body(Some(tenant), &RequestId::from_bytes(*id)), sealed);
        // What does not open shows nobody anything.
        if !opened.is_ok_and(|body| names_user(body.expose_secret(), user)) {
            continue;
        }
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
    }
    part.looked_at += found.len() as u64;
    Ok(found.last().map(|(id, _)| id.to_vec()))
}

fn messages(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    after: &[u8],
    part: &mut UserErased,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let found = connection
        .prepare_cached(
            "SELECT id, tenant_id, installation_id, channel, lane, attempt, expires_at, state, sealed_arguments
             FROM messages WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?",
        )?
        .query_map(params![tenant.as_str(), after, RESEAL_PART], |row| {
            Ok((read(row)?, row.get::<_, String>("state")?, row.get::<_, Vec<u8>>("sealed_arguments")?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (message, state, sealed) in &found {
        let opened = vault.open(sealed::arguments(tenant, &message.id), sealed);
        let names = message.channel == user
            || opened.is_ok_and(|arguments| names_user(arguments.expose_secret(), user));
        // What is on its way has left.
        if !names || state == "sending" {
            continue;
        }
        let id = MessageId::as_bytes(&message.id);
        connection
            .prepare_cached("UPDATE messages SET sealed_arguments = x'' WHERE id = ?")?
            .execute([id])?;
        if state == "queued" || state == "held" {
            connection
                .prepare_cached("UPDATE messages SET state = 'cancelled', error = ? WHERE id = ?")?
                .execute(params![erased!(), id])?;
        }
        if state == "queued" {
            count(connection, message, -1)?;
        }
        part.messages += 1;
    }
    part.looked_at += found.len() as u64;
    Ok(found.last().map(|(message, ..)| message.id.as_bytes().to_vec()))
}
