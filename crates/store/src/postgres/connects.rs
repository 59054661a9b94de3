//! Connect links, and the nonces of OAuth states.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use tautline_core::connect::{ConnectLink, Connects};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, LinkId, SecretHash, StoreResult, TenantId, Timestamp};

use super::database::{Tx, sql};
use super::failure::Work;
use super::{PostgresStore, idempotency, value};

#[async_trait]
impl Connects for PostgresStore {
    async fn connect_link_store(
        &self,
        link: ConnectLink,
        secret: SecretHash,
        now: Timestamp,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let mut tx = self.database.write().await?;
        if let Some(before) = idempotency::before(&mut tx, key.as_ref()).await? {
            return tx.finish(before).await;
        }
        tx.execute(
            sql("INSERT INTO connect_links (id, tenant_id, secret_hash, return_to, created_at, expires_at, key_id)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(value::uuid(link.id.as_bytes()))
            .bind(link.tenant.to_string())
            .bind(secret.0.to_vec())
            .bind(value::text_opt(link.return_to.as_deref()))
            .bind(now.as_micros())
            .bind(link.expires_at.as_micros())
            .bind(link.key.map(|id| value::uuid(id.as_bytes()))),
        )
        .await?;
        tx.finish(Once::Done(())).await
    }

    async fn connect_link(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<ConnectLink>> {
        let mut tx = self.database.read().await?;
        let found = sql("SELECT id, tenant_id, key_id, return_to, expires_at FROM connect_links
                         WHERE secret_hash = $1 AND consumed_at IS NULL AND expires_at > $2")
        .bind(secret.0.to_vec())
        .bind(now.as_micros());
        let link = tx.maybe(found, read).await?;
        tx.finish(link).await
    }

    async fn nonce_consume(
        &self,
        nonce: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        tx.execute(sql("DELETE FROM nonces WHERE expires_at <= $1").bind(now.as_micros())).await?;
        let insert = sql("INSERT INTO nonces (hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(nonce.0.to_vec())
            .bind(expires_at.as_micros());
        let inserted = tx.execute(insert).await?;
        tx.finish(inserted == 1).await
    }
}

/// Uses a tenant's link up. `false`: it was used up before.
pub(super) async fn use_up(tx: &mut Tx, tenant: &TenantId, link: LinkId, now: Timestamp) -> Work<bool> {
    let used = sql("UPDATE connect_links SET consumed_at = $1
                    WHERE id = $2 AND tenant_id = $3 AND consumed_at IS NULL")
    .bind(now.as_micros())
    .bind(value::uuid(link.as_bytes()))
    .bind(tenant.to_string());
    Ok(tx.execute(used).await? == 1)
}

fn read(row: &PgRow) -> sqlx::Result<ConnectLink> {
    Ok(ConnectLink {
        id: LinkId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        key: value::id_opt(row, "key_id")?.map(KeyId::from_bytes),
        return_to: value::read_text_opt(row, "return_to")?,
        expires_at: value::time(row, "expires_at")?,
    })
}
