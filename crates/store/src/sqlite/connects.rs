//! Connect links, and the nonces of OAuth states.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::SecretHash;
use tautline_core::connect::{ConnectLink, Connects};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, LinkId, StoreResult, TenantId, Timestamp};

use super::idempotency::once;
use super::{SqliteStore, value};

#[async_trait]
impl Connects for SqliteStore {
    async fn connect_link_store(
        &self,
        link: ConnectLink,
        secret: SecretHash,
        now: Timestamp,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let store = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "INSERT INTO connect_links (id, tenant_id, secret_hash, return_to, created_at, expires_at, key_id)
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    link.id.as_bytes(),
                    link.tenant.as_str(),
                    secret.0,
                    link.return_to,
                    now.as_micros(),
                    link.expires_at.as_micros(),
                    link.key.as_ref().map(KeyId::as_bytes),
                ])?;
            Ok(())
        };
        self.writer.write(move |connection| once(connection, key.as_ref(), || store(connection))).await
    }

    async fn connect_link(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<ConnectLink>> {
        let found = self.lookups.read(move |connection| {
            let link = connection
                .prepare_cached(
                    "SELECT id, tenant_id, key_id, return_to, expires_at FROM connect_links
                     WHERE secret_hash = ? AND consumed_at IS NULL AND expires_at > ?",
                )?
                .query_row(params![secret.0, now.as_micros()], read)
                .optional()?;
            Ok(link)
        });
        found.await
    }

    async fn nonce_consume(
        &self,
        nonce: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let consumed = self.writer.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM nonces WHERE expires_at <= ?")?
                .execute([now.as_micros()])?;
            let inserted = connection
                .prepare_cached("INSERT INTO nonces (hash, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING")?
                .execute(params![nonce.0, expires_at.as_micros()])?;
            Ok(inserted == 1)
        });
        consumed.await
    }
}

/// Uses a tenant's link up. `false`: it was used up before.
pub(super) fn use_up(
    connection: &Connection,
    tenant: &TenantId,
    link: LinkId,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let used = connection
        .prepare_cached(
            "UPDATE connect_links SET consumed_at = ? WHERE id = ? AND tenant_id = ? AND consumed_at IS NULL",
        )?
        .execute(params![now.as_micros(), link.as_bytes(), tenant.as_str()])?;
    Ok(used == 1)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ConnectLink> {
    Ok(ConnectLink {
        id: LinkId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        key: value::id_opt(row, "key_id")?.map(KeyId::from_bytes),
        return_to: row.get("return_to")?,
        expires_at: value::time(row, "expires_at")?,
    })
}
