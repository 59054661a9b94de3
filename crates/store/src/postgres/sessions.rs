//! Who is signed in at the dashboard, known by the hash of a secret.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::session::{DashboardLink, Session, Sessions};
use tautline_core::{KeyId, LinkId, SecretHash, StoreResult, Timestamp, limits};

use super::database::{Tx, sql};
use super::failure::Work;
use super::keys::read_scopes;
use super::{PostgresStore, idempotency, value};
use crate::columns;

#[async_trait]
impl Sessions for PostgresStore {
    async fn dashboard_link_store(
        &self,
        link: DashboardLink,
        secret: SecretHash,
        now: Timestamp,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let mut tx = self.database.write().await?;
        if let Some(before) = idempotency::before(&mut tx, key.as_ref()).await? {
            return tx.finish(before).await;
        }
        tx.execute(sql("DELETE FROM dashboard_links WHERE expires_at <= $1").bind(now.as_micros())).await?;
        tx.execute(
            sql("INSERT INTO dashboard_links (id, tenant_id, secret_hash, scopes, return_to, single_use,
                   created_at, expires_at, key_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(value::uuid(link.id.as_bytes()))
            .bind(link.tenant.to_string())
            .bind(secret.0.to_vec())
            .bind(columns::scopes(&link.scopes))
            .bind(value::text_opt(link.return_to.as_deref()))
            .bind(link.single_use)
            .bind(now.as_micros())
            .bind(link.expires_at.as_micros())
            .bind(link.key.map(|id| value::uuid(id.as_bytes()))),
        )
        .await?;
        tx.finish(Once::Done(())).await
    }

    async fn dashboard_link_open(
        &self,
        link: SecretHash,
        session: SecretHash,
        now: Timestamp,
    ) -> StoreResult<Option<DashboardLink>> {
        let mut tx = self.database.write().await?;
        // Found and used up in one statement: of two who open it at once, one is let in.
        let open = sql("UPDATE dashboard_links SET used_at = $1
                        WHERE secret_hash = $2 AND expires_at > $1 AND (used_at IS NULL OR NOT single_use)
                        RETURNING id, tenant_id, scopes, key_id, return_to, single_use, expires_at")
        .bind(now.as_micros())
        .bind(link.0.to_vec());
        let opened = tx.maybe(open, read_link).await?;
        if let Some(link) = &opened {
            let begun = Session {
                tenant: link.tenant.clone(),
                scopes: link.scopes.clone(),
                name: format!("the dashboard link {}", link.id),
                key: link.key,
                expires_at: now.after(limits::SESSION),
            };
            insert(&mut tx, &begun, session, now).await?;
        }
        tx.finish(opened).await
    }

    async fn session_store(&self, session: Session, secret: SecretHash, now: Timestamp) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        insert(&mut tx, &session, secret, now).await?;
        tx.finish(()).await
    }

    async fn session(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<Session>> {
        let mut tx = self.database.read().await?;
        let found = sql("SELECT tenant_id, scopes, name, key_id, expires_at FROM sessions
                         WHERE secret_hash = $1 AND expires_at > $2
                           AND NOT EXISTS (SELECT FROM api_keys k WHERE k.id = sessions.key_id
                                             AND (k.revoked_at IS NOT NULL OR k.expires_at <= $2))")
        .bind(secret.0.to_vec())
        .bind(now.as_micros());
        let session = tx.maybe(found, read_session).await?;
        tx.finish(session).await
    }

    async fn session_end(&self, secret: SecretHash) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        tx.execute(sql("DELETE FROM sessions WHERE secret_hash = $1").bind(secret.0.to_vec())).await?;
        tx.finish(()).await
    }
}

async fn insert(tx: &mut Tx, session: &Session, secret: SecretHash, now: Timestamp) -> Work<()> {
    tx.execute(sql("DELETE FROM sessions WHERE expires_at <= $1").bind(now.as_micros())).await?;
    tx.execute(
        sql("INSERT INTO sessions (secret_hash, tenant_id, scopes, name, created_at, expires_at, key_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(secret.0.to_vec())
        .bind(session.tenant.to_string())
        .bind(columns::scopes(&session.scopes))
        .bind(value::text(&session.name))
        .bind(now.as_micros())
        .bind(session.expires_at.as_micros())
        .bind(session.key.map(|id| value::uuid(id.as_bytes()))),
    )
    .await?;
    Ok(())
}

fn read_link(row: &PgRow) -> sqlx::Result<DashboardLink> {
    Ok(DashboardLink {
        id: LinkId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        key: value::id_opt(row, "key_id")?.map(KeyId::from_bytes),
        return_to: value::read_text_opt(row, "return_to")?,
        single_use: row.try_get("single_use")?,
        expires_at: value::time(row, "expires_at")?,
    })
}

fn read_session(row: &PgRow) -> sqlx::Result<Session> {
    Ok(Session {
        tenant: value::parsed(row, "tenant_id")?,
        scopes: read_scopes(row)?,
        name: value::read_text(row, "name")?,
        key: value::id_opt(row, "key_id")?.map(KeyId::from_bytes),
        expires_at: value::time(row, "expires_at")?,
    })
}
