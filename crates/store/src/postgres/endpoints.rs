//! Endpoints.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use tautline_core::endpoint::{Declared, Endpoint, Endpoints};
use tautline_core::{EndpointId, StoreResult, Timestamp};

use super::database::{Tx, sql};
use super::failure::Work;
use super::{PostgresStore, value};
use crate::columns;

#[async_trait]
impl Endpoints for PostgresStore {
    async fn endpoints_declare(
        &self,
        declared: Vec<Declared>,
        new_ids: Vec<EndpointId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Endpoint>> {
        let mut tx = self.database.write().await?;
        // Replicas that start together declare one after the other.
        tx.script("LOCK TABLE endpoints IN SHARE ROW EXCLUSIVE MODE").await?;
        tx.execute(sql("UPDATE endpoints SET active = false")).await?;
        for (endpoint, id) in declared.iter().zip(&new_ids) {
            declare(&mut tx, endpoint, *id, now).await?;
        }
        let active = sql("SELECT id, name, target, url, filters, tenants, created_at FROM endpoints
                          WHERE active ORDER BY id");
        let active = tx.all(active, read).await?;
        tx.finish(active).await
    }
}

/// Under a name that is known the endpoint keeps its id: an app that moved gets what waits for it.
async fn declare(tx: &mut Tx, endpoint: &Declared, id: EndpointId, now: Timestamp) -> Work<()> {
    let (target, url) = columns::target(&endpoint.target);
    tx.execute(
        sql("INSERT INTO endpoints (id, name, target, url, filters, tenants, active, created_at)
             VALUES ($1, $2, $3, $4, $5, '[\"*\"]', true, $6)
             ON CONFLICT (name) DO UPDATE SET
               target = excluded.target, url = excluded.url, filters = excluded.filters, active = true")
        .bind(value::uuid(id.as_bytes()))
        .bind(value::text(&endpoint.name))
        .bind(target)
        .bind(url.map(str::to_owned))
        .bind(columns::filters(&endpoint.filters))
        .bind(now.as_micros()),
    )
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> sqlx::Result<Endpoint> {
    let url = value::read_text_opt(row, "url")?;
    Ok(Endpoint {
        id: EndpointId::from_bytes(value::id(row, "id")?),
        name: value::read_text(row, "name")?,
        target: value::named(row, "target", |target| columns::read_target(target, url.as_deref()))?,
        filters: value::named(row, "filters", columns::read_filters)?,
        tenants: value::named(row, "tenants", columns::read_tenants)?,
        created_at: value::time(row, "created_at")?,
    })
}
