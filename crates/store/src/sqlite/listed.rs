//! Deliveries as they are listed: a part of the table is looked at, and what fits is shown.

use rusqlite::{Connection, params};
use tautline_core::delivery::{Delivery, DeliveryFilter, DeliveryState, Listed};
use tautline_core::{Cursor, Page, PageRequest, Timestamp, Vault, limits};
use tautline_core::{TenantId, least_at};

use super::failure::Work;
use super::{attempts, deliveries, inbox, value};

const NO_VAULT: Option<&dyn Vault> = None;

pub(super) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    page: PageRequest,
) -> Work<Page<Listed>> {
    // Dead ones are few, and have an index.
    let part = match filter.state {
        Some(DeliveryState::Dead) => "state = 'dead' AND ",
        _ => "",
    };
    let since = filter.since.map(least_at).unwrap_or_default();
    let after = page.after.map_or([0xff; 16], |cursor| cursor.0);
    let bounds = params![after, since, limits::DELIVERIES_SEEN];
    let seen = format!("FROM deliveries WHERE {part}id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3");
    let found = connection
        .prepare_cached(&format!(
            "SELECT d.*, i.kind, i.name, i.received_at FROM (SELECT * {seen}) d JOIN inbox i ON i.id = d.request_id
             WHERE (?4 IS NULL OR d.tenant_id = ?4) AND (?5 IS NULL OR d.endpoint_id = ?5)
               AND (?6 IS NULL OR d.state = ?6) ORDER BY d.id DESC LIMIT ?7"
        ))?
        .query_map(
            params![
                after,
                since,
                limits::DELIVERIES_SEEN,
                filter.tenant.as_ref().map(TenantId::as_str),
                filter.endpoint.map(|id| *id.as_bytes()),
                filter.state.map(DeliveryState::as_str),
                i64::from(page.limit) + 1,
            ],
            |row| {
                let read = (deliveries::read(row)?, value::parsed(row, "tenant_id")?, inbox::kind(row)?);
                Ok((read, row.get("name")?, value::time(row, "received_at")?))
            },
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let complete =
        |((delivery, tenant, kind), name, received_at): ((Delivery, TenantId, _), _, Timestamp)| {
            let open = |attempt: attempts::Row| attempt.open(&tenant, delivery.id, NO_VAULT);
            let attempts =
                attempts::of(connection, delivery.id)?.into_iter().map(open).collect::<Result<_, _>>()?;
            Ok(Listed { delivery: Delivery { attempts, ..delivery }, tenant, kind, name, received_at })
        };
    let found = found.into_iter().map(complete).collect::<Work<Vec<_>>>()?;
    let mut found = Page::of(found, page, |listed| *listed.delivery.id.as_bytes());
    if found.next.is_none() {
        // The last that was looked at, if that was not all.
        let last = format!("SELECT min(id), count(*) FROM (SELECT id {seen})");
        let (last, seen): (Option<[u8; 16]>, u32) =
            connection.prepare_cached(&last)?.query_row(bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.next = last.filter(|_| seen == limits::DELIVERIES_SEEN).map(Cursor);
    }
    Ok(found)
}
