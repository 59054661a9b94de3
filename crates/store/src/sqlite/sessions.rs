//! Who is signed in at the dashboard, known by the hash of a secret.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::session::{DashboardLink, Session, Sessions};
use tautline_core::{KeyId, LinkId, SecretHash, StoreResult, Timestamp, limits};

use super::idempotency::once;
use super::keys::read_scopes;
use super::{SqliteStore, value};
use crate::columns;

#[async_trait]
impl Sessions for SqliteStore {
    async fn dashboard_link_store(
        &self,
        link: DashboardLink,
        secret: SecretHash,
        now: Timestamp,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let store = move |connection: &Connection| {
            connection
                .prepare_cached("DELETE FROM dashboard_links WHERE expires_at <= ?")?
                .execute([now.as_micros()])?;
            connection
                .prepare_cached(
                    "INSERT INTO dashboard_links (id, tenant_id, secret_hash, scopes, return_to, single_use,
                       created_at, expires_at, key_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    link.id.as_bytes(),
                    link.tenant.as_str(),
                    secret.0,
                    columns::scopes(&link.scopes),
                    link.return_to,
                    link.single_use,
                    now.as_micros(),
                    link.expires_at.as_micros(),
                    link.key.as_ref().map(KeyId::as_bytes),
                ])?;
            Ok(())
        };
        self.writer.write(move |connection| once(connection, key.as_ref(), || store(connection))).await
    }

    async fn dashboard_link_open(
        &self,
        link: SecretHash,
        session: SecretHash,
        now: Timestamp,
    ) -> StoreResult<Option<DashboardLink>> {
        let opened = self.writer.write(move |connection| {
            // Found and used up in one statement: of two who open it at once, one is let in.
            let opened = connection
                .prepare_cached(
                    "UPDATE dashboard_links SET used_at = ?1
                     WHERE secret_hash = ?2 AND expires_at > ?1 AND (used_at IS NULL OR single_use = 0)
                     RETURNING id, tenant_id, scopes, key_id, return_to, single_use, expires_at",
                )?
                .query_row(params![now.as_micros(), link.0], read_link)
                .optional()?;
            if let Some(link) = &opened {
                let begun = Session {
                    tenant: link.tenant.clone(),
                    scopes: link.scopes.clone(),
                    name: format!("the dashboard link {}", link.id),
                    key: link.key,
                    expires_at: now.after(limits::SESSION),
                };
                insert(connection, &begun, session, now)?;
            }
            Ok(opened)
        });
        opened.await
    }

    async fn session_store(&self, session: Session, secret: SecretHash, now: Timestamp) -> StoreResult<()> {
        self.writer.write(move |connection| Ok(insert(connection, &session, secret, now)?)).await
    }

    async fn session(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<Session>> {
        let found = self.lookups.read(move |connection| {
            let session = connection
                .prepare_cached(
                    "SELECT tenant_id, scopes, name, key_id, expires_at FROM sessions
                     WHERE secret_hash = ?1 AND expires_at > ?2
                       AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.id = sessions.key_id
                                         AND (k.revoked_at IS NOT NULL OR k.expires_at <= ?2))",
                )?
                .query_row(params![secret.0, now.as_micros()], read_session)
                .optional()?;
            Ok(session)
        });
        found.await
    }

    async fn session_end(&self, secret: SecretHash) -> StoreResult<()> {
        let ended = self.writer.write(move |connection| {
            connection.prepare_cached("DELETE FROM sessions WHERE secret_hash = ?")?.execute([secret.0])?;
            Ok(())
        });
        ended.await
    }
}

fn insert(
    connection: &Connection,
    session: &Session,
    secret: SecretHash,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM sessions WHERE expires_at <= ?")?.execute([now.as_micros()])?;
    connection
        .prepare_cached(
            "INSERT INTO sessions (secret_hash, tenant_id, scopes, name, key_id, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            secret.0,
            session.tenant.as_str(),
            columns::scopes(&session.scopes),
            session.name,
            session.key.as_ref().map(KeyId::as_bytes),
            now.as_micros(),
            session.expires_at.as_micros(),
        ])?;
    Ok(())
}

fn read_link(row: &Row<'_>) -> rusqlite::Result<DashboardLink> {
    Ok(DashboardLink {
        id: LinkId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        key: value::id_opt(row, "key_id")?.map(KeyId::from_bytes),
        return_to: row.get("return_to")?,
        single_use: row.get("single_use")?,
        expires_at: value::time(row, "expires_at")?,
    })
}

fn read_session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        tenant: value::parsed(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        name: row.get("name")?,
        key: value::id_opt(row, "key_id")?.map(KeyId::from_bytes),
        expires_at: value::time(row, "expires_at")?,
    })
}
