//! API keys, known by the hash of their secret.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use tautline_core::access::{ApiKey, Keys, Scope};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, SecretHash, StoreResult};

use super::database::sql;
use super::{PostgresStore, idempotency, value};
use crate::columns;

#[async_trait]
impl Keys for PostgresStore {
    async fn key_store(
        &self,
        key: ApiKey,
        secret: SecretHash,
        idempotency: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let mut tx = self.database.write().await?;
        if let Some(before) = idempotency::before(&mut tx, idempotency.as_ref()).await? {
            return tx.finish(before).await;
        }
        tx.execute(
            sql("INSERT INTO api_keys (id, tenant_id, secret_hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (secret_hash) DO NOTHING")
            .bind(value::uuid(key.id.as_bytes()))
            .bind(key.tenant.as_ref().map(ToString::to_string))
            .bind(secret.0.to_vec())
            .bind(columns::scopes(&key.scopes))
            .bind(key.created_at.as_micros()),
        )
        .await?;
        tx.finish(Once::Done(())).await
    }

    async fn key(&self, secret: SecretHash) -> StoreResult<Option<ApiKey>> {
        let mut tx = self.database.read().await?;
        let found = sql("SELECT id, tenant_id, scopes, created_at FROM api_keys
                         WHERE secret_hash = $1 AND revoked_at IS NULL")
        .bind(secret.0.to_vec());
        let key = tx.maybe(found, read).await?;
        tx.finish(key).await
    }
}

fn read(row: &PgRow) -> sqlx::Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId::from_bytes(value::id(row, "id")?),
        tenant: value::tenant_opt(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        created_at: value::time(row, "created_at")?,
    })
}

/// Reads the column `scopes`.
pub(super) fn read_scopes(row: &PgRow) -> sqlx::Result<Vec<Scope>> {
    value::named(row, "scopes", columns::read_scopes)
}
