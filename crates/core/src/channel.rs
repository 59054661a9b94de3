//! What becomes of channels: their ids change, and their names change hands.

use async_trait::async_trait;

use crate::{InstallationId, StoreResult, TenantId};

/// The store's record of channels.
#[async_trait]
pub trait Channels {
    /// Slack gave a channel another id, as it does when one is shared: what is addressed to the old one goes to the new
    /// from now on.
    async fn channel_move(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        from: &str,
        to: &str,
    ) -> StoreResult<()>;

    /// Where a channel is now, if it moved.
    async fn channel_moved_to(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &str,
    ) -> StoreResult<Option<String>>;

    /// Forgets under which names a channel was known: it was renamed, archived or deleted, and they may be another's.
    async fn channel_forget_names(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &str,
    ) -> StoreResult<()>;
}
