//! Endpoints.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::endpoint::{Declared, Endpoint, Endpoints, Kept};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{EndpointId, StoreResult, Timestamp};

use super::database::{Tx, sql};
use super::failure::Work;
use super::{PostgresStore, idempotency, value};
use crate::{columns, sealed};

macro_rules! columns {
    () => {
        "id, name, target, url, filters, tenants, is_declared, sealed_secret, created_at"
    };
}

macro_rules! in_force {
    () => {
        " FROM endpoints WHERE active OR NOT (is_declared OR is_removed) ORDER BY id"
    };
}

#[async_trait]
impl Endpoints for PostgresStore {
    async fn endpoint_make(
        &self,
        endpoint: Endpoint,
        secret: SecretString,
        idempotency: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let sealed =
            self.vault.seal(sealed::endpoint_secret(&endpoint.id), secret.expose_secret().as_bytes());
        let mut tx = self.database.write().await?;
        if let Some(before) = idempotency::before(&mut tx, idempotency.as_ref()).await? {
            return tx.finish(before).await;
        }
        let (target, url) = columns::target(&endpoint.target);
        let make = sql("INSERT INTO endpoints (id, name, target, url, filters, tenants, active, is_declared,
                          sealed_secret, created_at) VALUES ($1, $2, $3, $4, $5, $6, false, false, $7, $8)")
        .bind(value::uuid(endpoint.id.as_bytes()))
        .bind(value::text(&endpoint.name))
        .bind(target)
        .bind(url.map(str::to_owned))
        .bind(columns::filters(&endpoint.filters))
        .bind(columns::tenants(&endpoint.tenants))
        .bind(sealed)
        .bind(endpoint.created_at.as_micros());
        tx.execute(make).await?;
        tx.finish(Once::Done(())).await
    }

    async fn endpoints(&self) -> StoreResult<Vec<Kept>> {
        let mut tx = self.database.read().await?;
        let with_secret = |row: &PgRow| Ok((read(row)?, row.try_get::<Option<Vec<u8>>, _>("sealed_secret")?));
        let found = tx.all(sql(concat!("SELECT ", columns!(), in_force!())), with_secret).await?;
        tx.finish(()).await?;
        let vault = self.vault.as_ref();
        Ok(found.into_iter().map(|(endpoint, sealed)| sealed::kept(vault, endpoint, sealed)).collect())
    }

    async fn endpoint_remove(&self, id: EndpointId) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let remove = sql("UPDATE endpoints SET is_removed = true, sealed_secret = NULL
                          WHERE id = $1 AND NOT is_declared AND NOT is_removed");
        let is_removed = tx.execute(remove.bind(value::uuid(id.as_bytes()))).await? > 0;
        tx.finish(is_removed).await
    }
    async fn endpoints_declare(
        &self,
        declared: Vec<Declared>,
        new_ids: Vec<EndpointId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Endpoint>> {
        let mut tx = self.database.write().await?;
        // Replicas that start together declare one after the other.
        tx.script("LOCK TABLE endpoints IN SHARE ROW EXCLUSIVE MODE").await?;
        tx.execute(sql("UPDATE endpoints SET active = false WHERE is_declared")).await?;
        for (endpoint, id) in declared.iter().zip(&new_ids) {
            declare(&mut tx, endpoint, *id, now).await?;
        }
        let active = tx.all(sql(concat!("SELECT ", columns!(), in_force!())), read).await?;
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
        is_declared: row.try_get("is_declared")?,
        created_at: value::time(row, "created_at")?,
    })
}
