//! The outbox: the durable record of messages on their way to Slack, and the lanes they wait in.
//!
//! **Theory of operation.** A lane is one channel of one installation, however the caller spelled it: `#general`,
//! `general`, and the channel's id once Slack told which that is. A lane that is due and has something waiting is
//! *claimed*: its oldest message is on its way, numbered as an attempt, and until that is settled or the lease runs
//! out nobody else takes from the lane. So there is one message in flight per lane, and messages keep their order.
//! When the lane moves again (`next_at`) is in its row, so that the pace outlives a restart.
//!
//! Slack's `chat.postMessage` knows no idempotency key. A message whose outcome is unknown (the connection broke
//! after it was sent, the process died) is *uncertain*: it is not sent again by itself, for that could post twice.

use async_trait::async_trait;
use bytes::Bytes;

use crate::delivery::{Finished, Reap};
use crate::idempotency::IdempotencyKey;
use crate::names::names;
use crate::sending::{SendAttempt, SendNext};
use crate::{InstallationId, MessageId, Page, PageRequest, StoreResult, TenantId, Timestamp};

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// It waits for its turn.
    Queued,
    /// It is on its way.
    Sending,
    /// Slack has it.
    Sent,
    /// Slack refused it, for good.
    Failed,
    /// Slack's answer is unknown.
    Uncertain,
    /// Somebody must say whether it is to be sent.
    Held,
    /// It was taken back before it was sent.
    Cancelled,
    /// It waited too long to be of use.
    Expired,
}

names!(MessageState {
    Queued = "queued",
    Sending = "sending",
    Sent = "sent",
    Failed = "failed",
    Uncertain = "uncertain",
    Held = "held",
    Cancelled = "cancelled",
    Expired = "expired",
});

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Failed,
        Self::Uncertain,
        Self::Held,
        Self::Cancelled,
        Self::Expired,
    ];
}

/// A message about to be made durable.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Through which installation it goes.
    pub installation: InstallationId,
    /// To which channel or user, as the caller named it.
    pub channel: String,
    /// The arguments of `chat.postMessage`, as a JSON object.
    pub arguments: Bytes,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
}

/// What became of accepting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It is durable.
    Now,
    /// The same was accepted before under this key; here it is.
    Before(MessageId),
    /// The key stood for another message.
    Conflict,
    /// So many of this tenant's messages wait that this one has no place.
    Full,
}

/// A message on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Through which installation it goes.
    pub installation: InstallationId,
    /// To which channel or user, as the caller named it.
    pub channel: String,
    /// Where it stands.
    pub state: MessageState,
    /// Where Slack put it.
    pub posted: Option<Posted>,
    /// Why it is not sent: Slack's own word, or what happened.
    pub error: Option<String>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
    /// While it waits: not before then, for its lane rests until then.
    pub next_at: Option<Timestamp>,
    /// The arguments of `chat.postMessage`; in lists empty when they do not open.
    pub arguments: Bytes,
    /// The attempts so far, oldest first; none in lists.
    pub attempts: Vec<SendAttempt>,
}

/// Where Slack put a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The channel's id.
    pub channel: String,
    /// Slack's name for the message within it.
    pub ts: String,
}

/// A message in somebody's hand.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Through which installation it goes.
    pub installation: InstallationId,
    /// To which channel or user, as the caller named it.
    pub channel: String,
    /// The lane it waits in.
    pub lane: String,
    /// The number of this attempt; the first is 1.
    pub attempt: u32,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
    /// The arguments of `chat.postMessage`.
    pub arguments: Bytes,
}

/// Which messages are looked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageFilter {
    /// Those that stand so.
    pub state: Option<MessageState>,
}

/// The name of the lane for a channel as a caller spells it.
pub fn lane(channel: &str) -> &str {
    channel.strip_prefix('#').unwrap_or(channel)
}

/// The store's record of messages.
#[async_trait]
pub trait Outbox {
    /// What was accepted before under this key: [`Queued::Before`] or [`Queued::Conflict`]. `None`: nothing.
    async fn message_before(&self, key: &IdempotencyKey) -> StoreResult<Option<Queued>>;

    /// Makes a message durable together with its lane, in one commit, unless its key was used before.
    async fn message_accept(&self, new: NewMessage, key: Option<IdempotencyKey>) -> StoreResult<Queued>;

    /// Whether any lane is due. Asked often, so without writing.
    async fn message_due(&self, now: Timestamp) -> StoreResult<bool>;

    /// Claims the heads of lanes that are due, those first that have been due longest.
    async fn message_claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: usize,
    ) -> StoreResult<Vec<Claimed>>;

    /// Puts an attempt on record with what follows it, and frees the lane. Whoever comes after the lease ran out
    /// moves nothing; but what Slack surely said still makes an uncertain message certain.
    async fn message_settle(
        &self,
        claimed: &Claimed,
        attempt: SendAttempt,
        posted: Option<Posted>,
        next: SendNext,
    ) -> StoreResult<Finished>;

    /// Settles what the dead left: messages that were on their way become uncertain, those that waited beyond
    /// their life expire. Returns how many changed.
    async fn message_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize>;

    /// Settles a part of what waits for an installation that is gone, as failed and why. How many those were; none at the
    /// end.
    async fn messages_fail(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        error: &str,
    ) -> StoreResult<usize>;

    /// A tenant's messages, newest first.
    async fn messages(
        &self,
        tenant: &TenantId,
        filter: MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>>;

    /// How many of a tenant's messages are queued.
    async fn messages_waiting(&self, tenant: &TenantId) -> StoreResult<u32>;

    /// One message, with its arguments and attempts.
    async fn message(&self, tenant: &TenantId, id: MessageId) -> StoreResult<Option<Message>>;
}
