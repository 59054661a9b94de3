//! The care for what is kept.

use async_trait::async_trait;
use sqlx::Row as _;
use tautline_core::keeping::{Erased, Forgotten, Keeping, ResealCursor, Resealed, UserErased};
use tautline_core::{StoreResult, TenantId, Timestamp};

use super::database::sql;
use super::{PostgresStore, erase, erase_user, forget, reseal};
use crate::columns::restored;

/// Holds every message that is queued or on its way: for `psql` to run in the transaction that restores a backup.
pub const HOLD_MESSAGES: &str = concat!(
    "UPDATE messages SET state = 'held', doubt_since = NULL, doubt_at = NULL, error = '",
    restored!(),
    "' WHERE state IN ('queued', 'sending') OR doubt_since IS NOT NULL;
     UPDATE lanes SET waiting = 0, leased_until = NULL;
     UPDATE outbox_waiting SET waiting = 0"
);

#[async_trait]
impl Keeping for PostgresStore {
    async fn forget(&self, now: Timestamp) -> StoreResult<Forgotten> {
        forget::forget(&self.database, &self.clock, now).await
    }

    async fn reseal(&self, from: ResealCursor) -> StoreResult<Resealed> {
        let mut tx = self.database.write().await?;
        let part = reseal::part(&mut tx, self.vault.as_ref(), &from).await?;
        tx.finish(part).await
    }

    async fn sealed_rows(&self) -> StoreResult<u64> {
        let mut tx = self.database.read().await?;
        // As the planner knows them: counting millions would take too long.
        let count = sql("SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint AS there FROM pg_class
                         WHERE oid = ANY(ARRAY['tenants', 'inbox', 'attempts', 'messages']::regclass[])");
        let there: i64 = tx.one(count, |row| row.try_get("there")).await?;
        tx.finish(u64::try_from(there).unwrap_or(0)).await
    }

    async fn tenant_erase(&self, tenant: &TenantId) -> StoreResult<Erased> {
        let mut tx = self.database.write().await?;
        let erased = erase::part(&mut tx, tenant).await?;
        tx.finish(erased).await
    }

    async fn user_erase(&self, tenant: &TenantId, user: &str, from: ResealCursor) -> StoreResult<UserErased> {
        let mut tx = self.database.write().await?;
        let part = erase_user::part(&mut tx, self.vault.as_ref(), tenant, user, &from).await?;
        tx.finish(part).await
    }

    async fn hold_messages(&self) -> StoreResult<u64> {
        let mut tx = self.database.write().await?;
        let count = sql("SELECT count(*) AS held FROM messages WHERE state IN ('queued', 'sending')
                           OR doubt_since IS NOT NULL");
        let held: i64 = tx.one(count, |row| row.try_get("held")).await?;
        tx.script(HOLD_MESSAGES).await?;
        tx.finish(u64::try_from(held).unwrap_or(0)).await
    }
}
