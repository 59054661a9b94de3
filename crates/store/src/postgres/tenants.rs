//! Tenants.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{StoreResult, Tenant, TenantId, TenantRecorded, Tenants};

use super::database::{Tx, sql};
use super::failure::Work;
use super::group::Together;
use super::{PostgresStore, idempotency, value};

#[async_trait]
impl Tenants for PostgresStore {
    async fn tenant_record(
        &self,
        tenant: Tenant,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<TenantRecorded>> {
        let mut tx = self.database.write().await?;
        if let Some(before) = idempotency::before(&mut tx, key.as_ref()).await? {
            return tx.finish(before).await;
        }
        let recorded = record(&mut tx, tenant).await?;
        tx.finish(Once::Done(recorded)).await
    }

    async fn tenant(&self, id: &TenantId) -> StoreResult<Option<Tenant>> {
        self.tenants.ask(id.clone()).await
    }
}

async fn record(tx: &mut Tx, tenant: Tenant) -> Work<TenantRecorded> {
    let insert = sql("INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(tenant.id.to_string())
        .bind(value::text_opt(tenant.name.as_deref()))
        .bind(tenant.created_at.as_micros());
    if tx.execute(insert).await? == 1 {
        return Ok(TenantRecorded::Created(tenant));
    }
    let existing = find(tx, &tenant.id).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(TenantRecorded::Existing(existing))
}

async fn find(tx: &mut Tx, id: &TenantId) -> Work<Option<Tenant>> {
    tx.maybe(sql("SELECT id, name, created_at FROM tenants WHERE id = $1").bind(id.to_string()), read).await
}

/// The tenants of these ids: a platform key names one with every call.
pub(super) struct TenantLookups;

impl Together for TenantLookups {
    type Item = TenantId;
    type Outcome = Option<Tenant>;
    const READS: bool = true;

    async fn run(&self, tx: &mut Tx, ids: &[Arc<TenantId>]) -> Work<Vec<Option<Tenant>>> {
        let found = sql("SELECT id, name, created_at FROM tenants WHERE id = ANY($1)");
        let found = tx.all(found.bind(value::distinct(ids)), read).await?;
        let of = found.iter().map(|tenant| (&tenant.id, tenant)).collect::<HashMap<_, _>>();
        Ok(ids.iter().map(|id| of.get(id.as_ref()).copied().cloned()).collect())
    }
}

fn read(row: &PgRow) -> sqlx::Result<Tenant> {
    Ok(Tenant {
        id: value::parsed(row, "id")?,
        name: value::read_text_opt(row, "name")?,
        created_at: value::time(row, "created_at")?,
    })
}
