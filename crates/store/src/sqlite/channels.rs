//! Channels that moved, and names that channels had.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use tautline_core::channel::Channels;
use tautline_core::{InstallationId, StoreResult, TenantId};

use super::SqliteStore;

#[async_trait]
impl Channels for SqliteStore {
    async fn channel_move(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        from: &str,
        to: &str,
    ) -> StoreResult<()> {
        let (tenant, from, to) = (tenant.clone(), from.to_owned(), to.to_owned());
        let kept = self.writer.write(move |connection| {
            // Whatever moved to the old one before has moved on. Moved back, it has not moved at all.
            let id = installation.as_bytes();
            let is_theirs = connection
                .prepare_cached("SELECT 1 FROM installations WHERE id = ? AND tenant_id = ?")?
                .exists(params![id, tenant.as_str()])?;
            if !is_theirs {
                return Ok(());
            }
            connection
                .prepare_cached(
                    "UPDATE moved_channels SET moved_to = ? WHERE installation_id = ? AND moved_to = ?",
                )?
                .execute(params![to, id, from])?;
            connection
                .prepare_cached("DELETE FROM moved_channels WHERE installation_id = ? AND channel = ?")?
                .execute(params![id, to])?;
            connection
                .prepare_cached(
                    "INSERT INTO moved_channels (installation_id, channel, moved_to) VALUES (?, ?, ?)
                     ON CONFLICT DO UPDATE SET moved_to = excluded.moved_to",
                )?
                .execute(params![id, from, to])?;
            Ok(())
        });
        kept.await
    }

    async fn channel_moved_to(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &str,
    ) -> StoreResult<Option<String>> {
        let (tenant, channel) = (tenant.clone(), channel.to_owned());
        let found = self.look_up(move |connection| {
            connection
                .prepare_cached(
                    "SELECT moved_to FROM moved_channels m JOIN installations i ON i.id = m.installation_id
                     WHERE m.installation_id = ? AND m.channel = ? AND i.tenant_id = ?",
                )?
                .query_row(params![installation.as_bytes(), channel, tenant.as_str()], |row| row.get(0))
                .optional()
        });
        found.await
    }

    async fn channel_forget_names(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &str,
    ) -> StoreResult<()> {
        let (tenant, channel) = (tenant.clone(), channel.to_owned());
        let forgotten = self.writer.write(move |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM lane_names WHERE installation_id = ?1 AND lane = ?2
                       AND EXISTS (SELECT 1 FROM installations WHERE id = ?1 AND tenant_id = ?3)",
                )?
                .execute(params![installation.as_bytes(), channel, tenant.as_str()])?;
            Ok(())
        });
        forgotten.await
    }
}
