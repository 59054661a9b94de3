//! Channels that moved, and names that channels had.

use async_trait::async_trait;
use tautline_core::channel::Channels;
use tautline_core::{InstallationId, StoreResult, TenantId};

use super::database::sql;
use super::{PostgresStore, value};

#[async_trait]
impl Channels for PostgresStore {
    async fn channel_move(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        from: &str,
        to: &str,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(installation.as_bytes());
        let theirs = sql("SELECT id FROM installations WHERE id = $1 AND tenant_id = $2 FOR KEY SHARE");
        let theirs = theirs.bind(id).bind(tenant.to_string());
        if tx.maybe(theirs, |row| value::id(row, "id")).await?.is_none() {
            return tx.finish(()).await;
        }
        // Whatever moved to the old one before has moved on. Moved back, it has not moved at all.
        let on = sql("UPDATE moved_channels SET moved_to = $1 WHERE installation_id = $2 AND moved_to = $3");
        tx.execute(on.bind(value::text(to)).bind(id).bind(value::text(from))).await?;
        let back = sql("DELETE FROM moved_channels WHERE installation_id = $1 AND channel = $2");
        tx.execute(back.bind(id).bind(value::text(to))).await?;
        let keep = sql("INSERT INTO moved_channels (installation_id, channel, moved_to)
                        VALUES ($1, $2, $3)
                        ON CONFLICT (installation_id, channel) DO UPDATE SET moved_to = excluded.moved_to")
        .bind(id)
        .bind(value::text(from))
        .bind(value::text(to));
        tx.execute(keep).await?;
        tx.finish(()).await
    }

    async fn channel_moved_to(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &str,
    ) -> StoreResult<Option<String>> {
        let mut tx = self.database.read().await?;
        let found =
            sql("SELECT moved_to FROM moved_channels m JOIN installations i ON i.id = m.installation_id
                         WHERE m.installation_id = $1 AND m.channel = $2 AND i.tenant_id = $3")
            .bind(value::uuid(installation.as_bytes()))
            .bind(value::text(channel))
            .bind(tenant.to_string());
        let found = tx.maybe(found, |row| value::read_text(row, "moved_to")).await?;
        tx.finish(found).await
    }

    async fn channel_forget_names(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &str,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let forget = sql("DELETE FROM lane_names WHERE installation_id = $1 AND lane = $2
                            AND EXISTS (SELECT FROM installations WHERE id = $1 AND tenant_id = $3)")
        .bind(value::uuid(installation.as_bytes()))
        .bind(value::text(channel))
        .bind(tenant.to_string());
        tx.execute(forget).await?;
        tx.finish(()).await
    }
}
