//! The care for what is kept.

use async_trait::async_trait;
use tautline_core::keeping::{Erased, Forgotten, Keeping, ResealCursor, Resealed, UserErased};
use tautline_core::{StoreResult, TenantId, Timestamp};

use super::{SqliteStore, erase, erase_user, forget, reseal};
use crate::columns::restored;

#[async_trait]
impl Keeping for SqliteStore {
    async fn forget(&self, now: Timestamp) -> StoreResult<Forgotten> {
        forget::forget(&self.writer, now).await
    }

    async fn reseal(&self, from: ResealCursor) -> StoreResult<Resealed> {
        let vault = self.vault.clone();
        self.writer.write(move |connection| reseal::part(connection, vault.as_ref(), &from)).await
    }

    async fn sealed_rows(&self) -> StoreResult<u64> {
        self.lists.read(|connection| Ok(reseal::rows(connection)?)).await
    }

    async fn tenant_erase(&self, tenant: &TenantId) -> StoreResult<Erased> {
        let tenant = tenant.clone();
        self.writer.write(move |connection| Ok(erase::part(connection, &tenant)?)).await
    }

    async fn user_erase(&self, tenant: &TenantId, user: &str, from: ResealCursor) -> StoreResult<UserErased> {
        let (tenant, user, vault) = (tenant.clone(), user.to_owned(), self.vault.clone());
        let named = self
            .lists
            .read(move |connection| Ok(erase_user::find(connection, vault.as_ref(), &tenant, &user, &from)?));
        let named = named.await?;
        let erased = self.writer.write(move |connection| Ok(erase_user::erase(connection, &named)?));
        erased.await
    }

    async fn hold_messages(&self) -> StoreResult<u64> {
        let held = self.writer.write(|connection| {
            let held = connection.execute(
                "UPDATE messages SET state = 'held', doubt_since = NULL, doubt_at = NULL, error = ?
                 WHERE state IN ('queued', 'sending') OR doubt_since IS NOT NULL",
                [restored!()],
            )?;
            connection.execute("UPDATE lanes SET waiting = 0, leased_until = NULL", [])?;
            connection.execute("UPDATE outbox_waiting SET waiting = 0", [])?;
            Ok(held as u64)
        });
        held.await
    }
}
