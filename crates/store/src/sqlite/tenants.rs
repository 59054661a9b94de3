//! Tenants.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{StoreResult, Tenant, TenantId, TenantRecorded, Tenants};

use super::idempotency::once;
use super::{SqliteStore, value};

#[async_trait]
impl Tenants for SqliteStore {
    async fn tenant_record(
        &self,
        tenant: Tenant,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<TenantRecorded>> {
        let record = move |connection: &Connection| {
            let inserted = connection
                .prepare_cached(
                    "INSERT INTO tenants (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                )?
                .execute(params![tenant.id.as_str(), tenant.name, tenant.created_at.as_micros()])?;
            if inserted == 1 {
                return Ok(TenantRecorded::Created(tenant.clone()));
            }
            let existing = find(connection, &tenant.id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok(TenantRecorded::Existing(existing))
        };
        self.writer.write(move |connection| once(connection, key.as_ref(), || record(connection))).await
    }

    async fn tenant(&self, id: &TenantId) -> StoreResult<Option<Tenant>> {
        let id = id.clone();
        self.look_up(move |connection| find(connection, &id)).await
    }
}

fn find(connection: &Connection, id: &TenantId) -> rusqlite::Result<Option<Tenant>> {
    connection
        .prepare_cached("SELECT id, name, created_at FROM tenants WHERE id = ?")?
        .query_row([id.as_str()], read)
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Tenant> {
    Ok(Tenant {
        id: value::parsed(row, "id")?,
        name: row.get("name")?,
        created_at: value::time(row, "created_at")?,
    })
}
