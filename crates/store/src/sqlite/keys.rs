//! API keys, known by the hash of their secret.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::SecretHash;
use tautline_core::access::{ApiKey, Keys, Scope};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, StoreResult, TenantId};

use super::idempotency::once;
use super::{SqliteStore, value};
use crate::columns;

#[async_trait]
impl Keys for SqliteStore {
    async fn key_store(
        &self,
        key: ApiKey,
        secret: SecretHash,
        idempotency: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let scopes = columns::scopes(&key.scopes);
        let store = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "INSERT INTO api_keys (id, tenant_id, secret_hash, scopes, created_at) VALUES (?, ?, ?, ?, ?)
                     ON CONFLICT (secret_hash) DO NOTHING",
                )?
                .execute(params![
                    key.id.as_bytes(),
                    key.tenant.as_ref().map(TenantId::as_str),
                    secret.0,
                    scopes,
                    key.created_at.as_micros(),
                ])?;
            Ok(())
        };
        self.writer
            .write(move |connection| once(connection, idempotency.as_ref(), || store(connection)))
            .await
    }

    async fn key(&self, secret: SecretHash) -> StoreResult<Option<ApiKey>> {
        let found = self.lookups.read(move |connection| {
            let key = connection
                .prepare_cached(
                    "SELECT id, tenant_id, scopes, created_at FROM api_keys
                     WHERE secret_hash = ? AND revoked_at IS NULL",
                )?
                .query_row([secret.0], read)
                .optional()?;
            Ok(key)
        });
        found.await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId::from_bytes(value::id(row, "id")?),
        tenant: value::tenant_opt(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        created_at: value::time(row, "created_at")?,
    })
}

/// Reads the column `scopes`.
pub(super) fn read_scopes(row: &Row<'_>) -> rusqlite::Result<Vec<Scope>> {
    value::named(row, "scopes", columns::read_scopes)
}
