//! Endpoints.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use tautline_core::endpoint::{Declared, Endpoint, Endpoints, Filter, Target, TenantSet};
use tautline_core::{EndpointId, StoreResult, Timestamp};

use super::{SqliteStore, value};

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
    let (target, url) = match &endpoint.target {
        Target::InProcess => ("in_process", None),
        Target::Slack { url } => ("slack", Some(url.as_str())),
    };
    let filters = endpoint.filters.iter().map(ToString::to_string).collect::<Vec<_>>();
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
            serde_json::to_string(&filters).expect("texts are JSON"),
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
    let target = value::named(row, "target", |target| match target {
        "in_process" => Some(Target::InProcess),
        "slack" => Some(Target::Slack { url: url.as_deref()?.parse().ok()? }),
        _ => None,
    })?;
    Ok(Endpoint {
        id: EndpointId::from_bytes(value::id(row, "id")?),
        name: row.get("name")?,
        target,
        filters: value::named(row, "filters", |json| {
            let texts: Vec<String> = serde_json::from_str(json).ok()?;
            texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<Filter>>>()
        })?,
        tenants: value::named(row, "tenants", |json| {
            let texts: Vec<String> = serde_json::from_str(json).ok()?;
            match texts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["*"] => Some(TenantSet::All),
                named => {
                    named.iter().map(|id| id.parse().ok()).collect::<Option<Vec<_>>>().map(TenantSet::Only)
                }
            }
        })?,
        created_at: value::time(row, "created_at")?,
    })
}
