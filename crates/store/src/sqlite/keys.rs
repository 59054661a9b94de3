//! API keys, known by the hash of their secret.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::access::{ApiKey, Keys, Scope, key_holder};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, Page, PageRequest, SecretHash, StoreResult, TenantId, Timestamp};

use super::idempotency::once;
use super::{SqliteStore, value};
use crate::columns;

macro_rules! columns {
    () => {
        "id, tenant_id, scopes, created_at, expires_at, last_used_at"
    };
}

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
                    "INSERT INTO api_keys (id, tenant_id, secret_hash, scopes, created_at, expires_at)
                     VALUES (?, ?, ?, ?, ?, ?)
                     ON CONFLICT (secret_hash) DO NOTHING",
                )?
                .execute(params![
                    key.id.as_bytes(),
                    key.tenant.as_ref().map(TenantId::as_str),
                    secret.0,
                    scopes,
                    key.created_at.as_micros(),
                    key.expires_at.map(Timestamp::as_micros),
                ])?;
            Ok(())
        };
        self.writer
            .write(move |connection| once(connection, idempotency.as_ref(), || store(connection)))
            .await
    }

    async fn key(&self, secret: SecretHash) -> StoreResult<Option<ApiKey>> {
        let found = self.look_up(move |connection| {
            connection
                .prepare_cached(concat!(
                    "SELECT ",
                    columns!(),
                    " FROM api_keys WHERE secret_hash = ? AND revoked_at IS NULL"
                ))?
                .query_row([secret.0], read)
                .optional()
        });
        found.await
    }

    async fn keys(&self, tenant: Option<&TenantId>, page: PageRequest) -> StoreResult<Page<ApiKey>> {
        let tenant = tenant.map(ToString::to_string);
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(concat!(
                    "SELECT ",
                    columns!(),
                    " FROM api_keys WHERE revoked_at IS NULL AND (?1 IS NULL OR tenant_id = ?1)
                       AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
                ))?
                .query_map(
                    params![tenant, page.after.map(|cursor| cursor.0), i64::from(page.limit) + 1],
                    read,
                )?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Page::of(found, page, |key| *key.id.as_bytes()))
        });
        found.await
    }

    async fn key_revoke(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        now: Timestamp,
    ) -> StoreResult<Option<Option<TenantId>>> {
        let tenant = tenant.map(ToString::to_string);
        let revoked = self.writer.write(move |connection| {
            let revoked = connection
                .prepare_cached(
                    "UPDATE api_keys SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL
                       AND (?3 IS NULL OR tenant_id = ?3) RETURNING tenant_id",
                )?
                .query_row(params![now.as_micros(), id.as_bytes(), tenant], |row| {
                    value::tenant_opt(row, "tenant_id")
                })
                .optional()?;
            if revoked.is_some() {
                // Sessions that an earlier version began have but the name.
                connection
                    .prepare_cached("DELETE FROM sessions WHERE key_id = ? OR name = ?")?
                    .execute(params![id.as_bytes(), key_holder(id)])?;
                for links in ["dashboard_links", "connect_links"] {
                    let end = format!("DELETE FROM {links} WHERE key_id = ?");
                    connection.prepare_cached(&end)?.execute([id.as_bytes()])?;
                }
            }
            Ok(revoked)
        });
        revoked.await
    }

    async fn key_used(&self, id: KeyId, now: Timestamp) -> StoreResult<()> {
        let used = self.writer.write(move |connection| {
            connection
                .prepare_cached("UPDATE api_keys SET last_used_at = ? WHERE id = ?")?
                .execute(params![now.as_micros(), id.as_bytes()])?;
            Ok(())
        });
        used.await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
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
pub(super) fn read_scopes(row: &Row<'_>) -> rusqlite::Result<Vec<Scope>> {
    value::named(row, "scopes", columns::read_scopes)
}
