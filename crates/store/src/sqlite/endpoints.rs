//! Endpoints.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use tautline_core::endpoint::{Declared, Endpoint, Endpoints};
use tautline_core::{EndpointId, StoreResult, Timestamp};

use super::{SqliteStore, value};
use crate::columns;

#[async_trait]
impl Endpoints for SqliteStore {
    async fn endpoints_declare(
        &self,
        declared: Vec<Declared>,
        new_ids: Vec<EndpointId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Endpoint>> {
        let active = self.writer.write(move |connection| {
            connection.execute("UPDATE endpoints SET active = 0", [])?;
            for (endpoint, id) in declared.iter().zip(&new_ids) {
                declare(connection, endpoint, *id, now)?;
            }
            Ok(active(connection)?)
        });
        active.await
    }
}

/// Under a name that is known the endpoint keeps its id: an app that moved gets what waits for it.
fn declare(
    connection: &Connection,
    endpoint: &Declared,
    id: EndpointId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (target, url) = columns::target(&endpoint.target);
    connection
        .prepare_cached(
            "INSERT INTO endpoints (id, name, target, url, filters, tenants, active, created_at)
             VALUES (?, ?, ?, ?, ?, '[\"*\"]', 1, ?)
             ON CONFLICT (name) DO UPDATE SET
               target = excluded.target, url = excluded.url, filters = excluded.filters, active = 1",
        )?
        .execute(params![
            id.as_bytes(),
            endpoint.name,
            target,
            url,
            columns::filters(&endpoint.filters),
            now.as_micros(),
        ])?;
    Ok(())
}

fn active(connection: &Connection) -> rusqlite::Result<Vec<Endpoint>> {
    connection
        .prepare_cached(
            "SELECT id, name, target, url, filters, tenants, created_at FROM endpoints WHERE active = 1 ORDER BY id",
        )?
        .query_map([], read)?
        .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let url: Option<String> = row.get("url")?;
    Ok(Endpoint {
        id: EndpointId::from_bytes(value::id(row, "id")?),
        name: row.get("name")?,
        target: value::named(row, "target", |target| columns::read_target(target, url.as_deref()))?,
        filters: value::named(row, "filters", columns::read_filters)?,
        tenants: value::named(row, "tenants", columns::read_tenants)?,
        created_at: value::time(row, "created_at")?,
    })
}
