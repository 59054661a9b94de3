//! Channels: their ids change, and their names change hands; and the directory of which there are.

use async_trait::async_trait;

use crate::{InstallationId, StoreResult, TenantId, Timestamp};

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

/// A channel as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// Its name, without `#`.
    pub name: String,
    /// Whether it is private.
    pub is_private: bool,
    /// Whether the app is in it.
    pub is_member: bool,
    /// Slack's word why nothing can be posted there, since it was tried.
    pub dead: Option<String>,
}

/// A crawl through a workspace's channels, in somebody's hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crawl {
    /// Whose.
    pub tenant: TenantId,
    /// Through which installation.
    pub installation: InstallationId,
    /// The number of the crawl: what it did not see is gone when it ends.
    pub number: i64,
    /// Where the next page begins; none at the beginning.
    pub cursor: Option<String>,
}

/// What follows a page of a crawl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrawlNext {
    /// There is more.
    Page {
        /// Where it begins.
        cursor: String,
        /// When it is asked for.
        at: Timestamp,
    },
    /// That was all: what was not seen is gone.
    Done {
        /// When the next crawl begins.
        at: Timestamp,
    },
    /// Slack would not tell.
    Failed {
        /// Its word, or what happened; kept until a crawl succeeds. None for what is over soon.
        error: Option<String>,
        /// When it is asked again.
        at: Timestamp,
    },
}

/// What is known of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryState {
    /// When the last crawl ended.
    pub crawled_at: Option<Timestamp>,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// The store's record of what channels workspaces have.
#[async_trait]
pub trait Directory {
    /// Takes a crawl that is due, if there is one.
    async fn crawl_claim(&self, now: Timestamp, leased_until: Timestamp) -> StoreResult<Option<Crawl>>;

    /// Keeps a page of a crawl, and what follows it. Nothing, if somebody else has taken the crawl since.
    async fn crawl_page(
        &self,
        crawl: &Crawl,
        channels: Vec<Channel>,
        next: CrawlNext,
        now: Timestamp,
    ) -> StoreResult<()>;

    /// Has a workspace crawled soon: it was never, or may see more now.
    async fn crawl_ask(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        now: Timestamp,
    ) -> StoreResult<()>;

    /// When a workspace was crawled; `None`: nobody has asked for it yet.
    async fn directory(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
    ) -> StoreResult<Option<DirectoryState>>;

    /// Channels whose names hold a text: those that begin with it first.
    async fn channels(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        text: &str,
        limit: u32,
    ) -> StoreResult<Vec<Channel>>;

    /// Those channels of these ids that are known, in any order.
    async fn channels_by_id(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        ids: &[String],
    ) -> StoreResult<Vec<Channel>>;

    /// One channel, by its id.
    async fn channel(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
    ) -> StoreResult<Option<Channel>> {
        Ok(self.channels_by_id(tenant, installation, &[id.to_owned()]).await?.pop())
    }

    /// A channel as Slack just showed it. What it was dead of is over.
    async fn channel_keep(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &Channel,
    ) -> StoreResult<()>;

    /// A channel is no more to be found.
    async fn channel_forget(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
    ) -> StoreResult<()>;

    /// Nothing can be posted to a channel, says Slack; or (`None`) it is to be tried again. Whether that is new.
    async fn channel_dead(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
        dead: Option<&str>,
    ) -> StoreResult<bool>;
}
