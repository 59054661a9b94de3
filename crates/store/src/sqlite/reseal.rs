//! Sealing anew what an older key sealed.

use rusqlite::{Connection, Row, params};
use tautline_core::installation::CredentialKind;
use tautline_core::keeping::{ResealCursor, Resealed};
use tautline_core::{
    DeliveryId, EndpointId, InstallationId, MessageId, RequestId, TenantId, Vault, VaultError,
};

use super::failure::Work;
use super::value;
use crate::limits::RESEAL_PART;
use crate::sealed;

/// A row with what in it is sealed, by the column.
struct Found {
    rowid: i64,
    /// What a person knows it by.
    name: String,
    values: Vec<Value>,
}

/// A column, what it becomes (if it must), and what is in it.
type Value = (&'static str, Result<Option<Vec<u8>>, VaultError>, Vec<u8>);

type Look = fn(&Row<'_>, &dyn Vault) -> rusqlite::Result<Found>;

/// The tables that hold something sealed, in the order in which they are gone through: what is read, and how.
const TABLES: [(&str, &str, Look); 6] = [
    (
        "credentials",
        "SELECT rowid, tenant_id, installation_id, kind, sealed_token, sealed_refresh_token FROM credentials
         WHERE rowid > ? ORDER BY rowid LIMIT ?",
        credential,
    ),
    (
        "inbox",
        "SELECT rowid, tenant_id, id, sealed_body FROM inbox WHERE rowid > ? ORDER BY rowid LIMIT ?",
        request,
    ),
    (
        "attempts",
        "SELECT rowid, tenant_id, delivery_id, number, sealed_answer FROM attempts
         WHERE rowid > ? ORDER BY rowid LIMIT ?",
        attempt,
    ),
    (
        "messages",
        "SELECT seq AS rowid, tenant_id, id, sealed_arguments FROM messages WHERE seq > ? ORDER BY seq LIMIT ?",
        message,
    ),
    (
        "endpoints",
        "SELECT rowid, id, sealed_secret, sealed_secret_before FROM endpoints WHERE rowid > ? ORDER BY rowid LIMIT ?",
        endpoint,
    ),
    (
        "parked_installs",
        "SELECT rowid, id, sealed FROM parked_installs WHERE rowid > ? ORDER BY rowid LIMIT ?",
        parked,
    ),
];

/// Looks at a part of one table. What changed since is left: whoever changed it sealed it.
pub(super) fn part(connection: &Connection, vault: &dyn Vault, from: &ResealCursor) -> Work<Resealed> {
    let Some((table, select, look)) = TABLES.get(usize::from(from.table)) else {
        return Ok(Resealed::default());
    };
    let last = from.row.as_slice().try_into().map_or(0, i64::from_be_bytes);
    let found = connection
        .prepare_cached(select)?
        .query_map(params![last, RESEAL_PART], |row| look(row, vault))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut part = Resealed { looked_at: found.len() as u64, ..Resealed::default() };
    for row in &found {
        for (column, anew, before) in &row.values {
            match anew {
                Ok(None) => {}
                Ok(Some(anew)) => {
                    let update = format!("UPDATE {table} SET {column} = ? WHERE rowid = ? AND {column} = ?");
                    let changed =
                        connection.prepare_cached(&update)?.execute(params![anew, row.rowid, before])?;
                    part.resealed += changed as u64;
                }
                Err(error) => part.failed.push(format!("{table} {}: {error}", row.name)),
            }
        }
    }
    part.next = Some(match found.last() {
        Some(last) => ResealCursor { table: from.table, row: last.rowid.to_be_bytes().to_vec() },
        None => ResealCursor { table: from.table + 1, row: Vec::new() },
    })
    .filter(|next| usize::from(next.table) < TABLES.len());
    Ok(part)
}

/// About how many rows there are to look at: counting millions would take too long.
pub(super) fn rows(connection: &Connection) -> rusqlite::Result<u64> {
    let between = |table: &str| -> rusqlite::Result<u64> {
        let span = format!("SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM {table}");
        let rows: i64 = connection.query_row(&span, [], |row| row.get(0))?;
        Ok(u64::try_from(rows).unwrap_or(0))
    };
    TABLES.iter().map(|(table, ..)| between(table)).sum()
}

fn credential(row: &Row<'_>, vault: &dyn Vault) -> rusqlite::Result<Found> {
    let tenant: TenantId = value::parsed(row, "tenant_id")?;
    let installation = InstallationId::from_bytes(value::id(row, "installation_id")?);
    let kind = value::named(row, "kind", CredentialKind::from_name)?;
    let name = sealed::credential_row(installation, kind);
    let anew = |column: &'static str, field, before: Vec<u8>| {
        (column, sealed::anew(vault, sealed::token(&tenant, &name, field), &before), before)
    };
    let refresh: Option<Vec<u8>> = row.get("sealed_refresh_token")?;
    let mut values = vec![anew("sealed_token", "token", row.get("sealed_token")?)];
    values.extend(refresh.map(|before| anew("sealed_refresh_token", "refresh_token", before)));
    Ok(Found { rowid: row.get("rowid")?, name: format!("{installation} of {tenant}"), values })
}

fn request(row: &Row<'_>, vault: &dyn Vault) -> rusqlite::Result<Found> {
    let (tenant, id) = (value::tenant_opt(row, "tenant_id")?, RequestId::from_bytes(value::id(row, "id")?));
    let before: Vec<u8> = row.get("sealed_body")?;
    let anew = sealed::anew(vault, sealed::body(tenant.as_ref(), &id), &before);
    Ok(Found { rowid: row.get("rowid")?, name: id.to_string(), values: vec![("sealed_body", anew, before)] })
}

fn attempt(row: &Row<'_>, vault: &dyn Vault) -> rusqlite::Result<Found> {
    let tenant: TenantId = value::parsed(row, "tenant_id")?;
    let delivery = DeliveryId::from_bytes(value::id(row, "delivery_id")?);
    let name = sealed::attempt_row(delivery, row.get("number")?);
    let before: Option<Vec<u8>> = row.get("sealed_answer")?;
    let values = before.map(|before| {
        ("sealed_answer", sealed::anew(vault, sealed::answer(&tenant, &name), &before), before)
    });
    let values = values.into_iter().collect();
    Ok(Found { rowid: row.get("rowid")?, name: delivery.to_string(), values })
}

fn endpoint(row: &Row<'_>, vault: &dyn Vault) -> rusqlite::Result<Found> {
    let id = EndpointId::from_bytes(value::id(row, "id")?);
    let places = [
        ("sealed_secret", sealed::endpoint_secret(&id)),
        ("sealed_secret_before", sealed::endpoint_secret_before(&id)),
    ];
    let mut values = Vec::new();
    for (column, place) in places {
        let before: Option<Vec<u8>> = row.get(column)?;
        values.extend(before.map(|before| (column, sealed::anew(vault, place, &before), before)));
    }
    Ok(Found { rowid: row.get("rowid")?, name: id.to_string(), values })
}

fn parked(row: &Row<'_>, vault: &dyn Vault) -> rusqlite::Result<Found> {
    let id = InstallationId::from_bytes(value::id(row, "id")?);
    let before: Vec<u8> = row.get("sealed")?;
    let anew = sealed::anew(vault, sealed::parked(&id), &before);
    Ok(Found { rowid: row.get("rowid")?, name: id.to_string(), values: vec![("sealed", anew, before)] })
}

fn message(row: &Row<'_>, vault: &dyn Vault) -> rusqlite::Result<Found> {
    let tenant: TenantId = value::parsed(row, "tenant_id")?;
    let id = MessageId::from_bytes(value::id(row, "id")?);
    let before: Vec<u8> = row.get("sealed_arguments")?;
    let anew = sealed::anew(vault, sealed::arguments(&tenant, &id), &before);
    Ok(Found {
        rowid: row.get("rowid")?,
        name: id.to_string(),
        values: vec![("sealed_arguments", anew, before)],
    })
}
