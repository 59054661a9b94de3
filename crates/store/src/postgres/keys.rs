//! API keys, known by the hash of their secret.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::access::{ApiKey, Keys, Scope, key_holder};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, Page, PageRequest, SecretHash, StoreResult, TenantId, Timestamp};

use super::database::{Tx, sql};
use super::failure::Work;
use super::group::Together;
use super::{PostgresStore, idempotency, value};
use crate::columns;

macro_rules! columns {
    () => {
        "id, tenant_id, scopes, created_at, expires_at, last_used_at"
    };
}

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
            sql("INSERT INTO api_keys (id, tenant_id, secret_hash, scopes, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (secret_hash) DO NOTHING")
            .bind(value::uuid(key.id.as_bytes()))
            .bind(key.tenant.as_ref().map(ToString::to_string))
            .bind(secret.0.to_vec())
            .bind(columns::scopes(&key.scopes))
            .bind(key.created_at.as_micros())
            .bind(key.expires_at.map(Timestamp::as_micros)),
        )
        .await?;
        tx.finish(Once::Done(())).await
    }

    async fn key(&self, secret: SecretHash) -> StoreResult<Option<ApiKey>> {
        self.keys.ask(secret).await
    }

    async fn keys(&self, tenant: Option<&TenantId>, page: PageRequest) -> StoreResult<Page<ApiKey>> {
        let found = sql(concat!(
            "SELECT ",
            columns!(),
            " FROM api_keys WHERE revoked_at IS NULL AND ($1 IS NULL OR tenant_id = $1)
               AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"
        ))
        .bind(tenant.map(ToString::to_string))
        .bind(page.after.map(|cursor| value::uuid(&cursor.0)))
        .bind(i64::from(page.limit) + 1);
        let mut tx = self.lists.read().await?;
        let found = tx.all(found, read).await?;
        tx.finish(Page::of(found, page, |key| *key.id.as_bytes())).await
    }

    async fn key_revoke(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        now: Timestamp,
    ) -> StoreResult<Option<Option<TenantId>>> {
        let revoke = sql("UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL
                            AND ($3 IS NULL OR tenant_id = $3) RETURNING tenant_id")
        .bind(now.as_micros())
        .bind(value::uuid(id.as_bytes()))
        .bind(tenant.map(ToString::to_string));
        let mut tx = self.database.write().await?;
        let revoked = tx.maybe(revoke, |row| value::tenant_opt(row, "tenant_id")).await?;
        if revoked.is_some() {
            // Links first: one that is just being opened has begun its session before it can be deleted.
            let key = value::uuid(id.as_bytes());
            tx.execute(sql("DELETE FROM dashboard_links WHERE key_id = $1").bind(key)).await?;
            tx.execute(sql("DELETE FROM connect_links WHERE key_id = $1").bind(key)).await?;
            // Sessions that an earlier version began have but the name.
            let sessions = sql("DELETE FROM sessions WHERE key_id = $1 OR name = $2");
            tx.execute(sessions.bind(key).bind(key_holder(id))).await?;
        }
        tx.finish(revoked).await
    }

    async fn key_used(&self, id: KeyId, now: Timestamp) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let used = sql("UPDATE api_keys SET last_used_at = $1 WHERE id = $2")
            .bind(now.as_micros())
            .bind(value::uuid(id.as_bytes()));
        tx.execute(used).await?;
        tx.finish(()).await
    }
}

/// The keys with these secrets: one is shown with every call.
pub(super) struct KeyLookups;

impl Together for KeyLookups {
    type Item = SecretHash;
    type Outcome = Option<ApiKey>;
    const READS: bool = true;

    async fn run(&self, tx: &mut Tx, secrets: &[Arc<SecretHash>]) -> Work<Vec<Option<ApiKey>>> {
        let mut hashes = secrets.iter().map(|secret| secret.0.to_vec()).collect::<Vec<_>>();
        hashes.sort_unstable();
        hashes.dedup();
        let found = sql(concat!(
            "SELECT secret_hash, ",
            columns!(),
            " FROM api_keys WHERE secret_hash = ANY($1) AND revoked_at IS NULL"
        ));
        let keyed = |row: &PgRow| Ok((row.try_get::<Vec<u8>, _>("secret_hash")?, read(row)?));
        let found = tx.all(found.bind(hashes), keyed).await?.into_iter().collect::<HashMap<_, _>>();
        Ok(secrets.iter().map(|secret| found.get(&secret.0[..]).cloned()).collect())
    }
}

fn read(row: &PgRow) -> sqlx::Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId::from_bytes(value::id(row, "id")?),
        tenant: value::tenant_opt(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        created_at: value::time(row, "created_at")?,
        expires_at: value::time_opt(row, "expires_at")?,
        last_used_at: value::time_opt(row, "last_used_at")?,
    })
}

/// Reads the column `scopes`.
pub(super) fn read_scopes(row: &PgRow) -> sqlx::Result<Vec<Scope>> {
    value::named(row, "scopes", columns::read_scopes)
}
