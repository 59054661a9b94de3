//! Routes.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::route::{Route, Routes};
use tautline_core::{StoreResult, TenantId, limits};

use super::database::sql;
use super::{PostgresStore, value};
use crate::columns;

#[async_trait]
impl Routes for PostgresStore {
    async fn route_put(&self, tenant: &TenantId, route: &Route) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let others =
            sql("SELECT count(*) AS others FROM routes WHERE tenant_id = $1 AND place = $2 AND name <> $3")
                .bind(tenant.to_string())
                .bind(value::text(&route.place))
                .bind(value::text(&route.name));
        let others: usize = tx.one(others, |row| value::number(row, "others")).await?;
        if others >= limits::ROUTES {
            return tx.finish(false).await;
        }
        tx.execute(
            sql("INSERT INTO routes (tenant_id, place, name, channels, is_enabled, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (tenant_id, place, name) DO UPDATE SET channels = excluded.channels,
                   is_enabled = excluded.is_enabled, updated_at = excluded.updated_at")
            .bind(tenant.to_string())
            .bind(value::text(&route.place))
            .bind(value::text(&route.name))
            .bind(value::text(&route.channels.join(",")))
            .bind(route.is_enabled)
            .bind(route.updated_at.as_micros()),
        )
        .await?;
        tx.finish(true).await
    }

    async fn route_remove(&self, tenant: &TenantId, place: &str, name: &str) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let remove = sql("DELETE FROM routes WHERE tenant_id = $1 AND place = $2 AND name = $3")
            .bind(tenant.to_string())
            .bind(value::text(place))
            .bind(value::text(name));
        let removed = tx.execute(remove).await?;
        tx.finish(removed == 1).await
    }

    async fn routes(&self, tenant: &TenantId, place: &str) -> StoreResult<Vec<Route>> {
        let mut tx = self.database.read().await?;
        let found = sql("SELECT place, name, channels, is_enabled, updated_at FROM routes
                         WHERE tenant_id = $1 AND place = $2 ORDER BY name")
        .bind(tenant.to_string())
        .bind(value::text(place));
        let found = tx.all(found, read).await?;
        tx.finish(found).await
    }
}

fn read(row: &PgRow) -> sqlx::Result<Route> {
    Ok(Route {
        place: value::read_text(row, "place")?,
        name: value::read_text(row, "name")?,
        channels: columns::ids(&value::read_text(row, "channels")?),
        is_enabled: row.try_get("is_enabled")?,
        updated_at: value::time(row, "updated_at")?,
    })
}
