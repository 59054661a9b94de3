//! Routes.

use async_trait::async_trait;
use rusqlite::{Row, params};
use tautline_core::route::{Route, Routes};
use tautline_core::{StoreResult, TenantId, limits};

use super::{SqliteStore, value};
use crate::columns;

#[async_trait]
impl Routes for SqliteStore {
    async fn route_put(&self, tenant: &TenantId, route: &Route) -> StoreResult<bool> {
        let (tenant, route) = (tenant.clone(), route.clone());
        let kept = self.writer.write(move |connection| {
            let others: u32 = connection
                .prepare_cached(
                    "SELECT count(*) FROM routes WHERE tenant_id = ? AND place = ? AND name <> ?",
                )?
                .query_row(params![tenant.as_str(), route.place, route.name], |row| row.get(0))?;
            if others as usize >= limits::ROUTES {
                return Ok(false);
            }
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO routes (tenant_id, place, name, channels, is_enabled, updated_at)
                     VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    tenant.as_str(),
                    route.place,
                    route.name,
                    route.channels.join(","),
                    route.is_enabled,
                    route.updated_at.as_micros()
                ])?;
            Ok(true)
        });
        kept.await
    }

    async fn route_remove(&self, tenant: &TenantId, place: &str, name: &str) -> StoreResult<bool> {
        let (tenant, place, name) = (tenant.clone(), place.to_owned(), name.to_owned());
        let removed = self.writer.write(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM routes WHERE tenant_id = ? AND place = ? AND name = ?")?
                .execute(params![tenant.as_str(), place, name])?;
            Ok(removed == 1)
        });
        removed.await
    }

    async fn routes(&self, tenant: &TenantId, place: &str) -> StoreResult<Vec<Route>> {
        let (tenant, place) = (tenant.clone(), place.to_owned());
        let found = self.lookups.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT place, name, channels, is_enabled, updated_at FROM routes
                     WHERE tenant_id = ? AND place = ? ORDER BY name",
                )?
                .query_map(params![tenant.as_str(), place], read)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(found)
        });
        found.await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Route> {
    let channels: String = row.get("channels")?;
    Ok(Route {
        place: row.get("place")?,
        name: row.get("name")?,
        channels: columns::ids(&channels),
        is_enabled: row.get("is_enabled")?,
        updated_at: value::time(row, "updated_at")?,
    })
}
