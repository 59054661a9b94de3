//! The outbox: the durable record of messages on their way to Slack, and the lanes they wait in.
//!
//! **Theory of operation.** A lane is one channel of one installation, however the caller spelled it: `#general`,
//! `general`, and the channel's id once Slack told which that is. A lane that is due and has something waiting is
//! *claimed*: its oldest message is on its way, numbered as an attempt, and until that is settled or the lease runs
//! out nobody else takes from the lane. So there is one message in flight per lane, and messages keep their order.
//! When the lane moves again (`next_at`) is in its row, so that the pace outlives a restart.
//!
//! Which of the lanes that are due goes first is a matter of *turns*: each tenant has a place in the queue a second ahead of its
//! next, as in `turns.rs`, so that a flood of one stands before nobody else's first message. What answers a person goes before
//! the rest of its lane. What else the pace of Slack's asks for is in `pace.rs`.
//!
//! Slack's `chat.postMessage` knows no idempotency key. A message whose outcome is unknown (the connection broke
//! after it was sent, the process died) is *uncertain*: it keeps its place, and is looked for. See `looking.rs`.

use async_trait::async_trait;
use bytes::Bytes;

use crate::delivery::{Finished, Reap};
use crate::idempotency::IdempotencyKey;
use crate::looking::Doubt;
use crate::names::names;
use crate::operation::{OnUncertain, Operation};
use crate::pace::Paces;
use crate::sending::SendAttempt;
use crate::settlement::Settlement;
use crate::{InstallationId, MessageId, Page, PageRequest, StoreResult, TenantId, Timestamp, limits};

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
    /// Whether a message that is put back so waits in its lane.
    pub fn waits(self) -> bool {
        matches!(self, Self::Queued | Self::Uncertain)
    }

    /// Whether it can still be taken back.
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Queued | Self::Held)
    }

    /// Whether it can be sent after all.
    pub fn can_be_retried(self) -> bool {
        matches!(self, Self::Failed | Self::Uncertain | Self::Held | Self::Cancelled | Self::Expired)
    }

    /// Whether Slack may have it.
    pub fn may_have_been_sent(self) -> bool {
        matches!(self, Self::Uncertain | Self::Held)
    }

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
    /// What it does.
    pub operation: Operation,
    /// The message of ours that it is about: it goes through the same lane.
    pub about: Option<MessageId>,
    /// To which channel or user, as the caller named it.
    pub channel: String,
    /// The arguments of Slack's method, as a JSON object.
    pub arguments: Bytes,
    /// It answers a person who waits, and goes before the rest.
    pub is_urgent: bool,
    /// It goes out then, and waits in no lane before.
    pub starts_at: Option<Timestamp>,
    /// What is done when nobody can tell whether Slack has it.
    pub on_uncertain: OnUncertain,
    /// The route by which its channel was found.
    pub route: Option<String>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
}

impl NewMessage {
    /// A post to a channel, with everything else as usual.
    pub fn post(
        id: MessageId,
        tenant: TenantId,
        installation: InstallationId,
        channel: String,
        arguments: Bytes,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            installation,
            operation: Operation::Post,
            about: None,
            channel,
            arguments,
            is_urgent: false,
            starts_at: None,
            on_uncertain: OnUncertain::Resend,
            route: None,
            accepted_at: now,
            expires_at: now.after(limits::MESSAGE_LIFE),
        }
    }

    /// Where it goes, if it is about a message that stands there. `None`: into the lane of its channel.
    pub fn position(&self, about: Option<Position>) -> Option<Position> {
        match about {
            // Behind that, wherever the channel's name leads by now.
            Some(about) if !about.lane.is_empty() => Some(about),
            None if self.starts_at.is_some() => Some(Position { lane: String::new(), is_urgent: false }),
            _ => None,
        }
    }
}

/// Where a message stands among the lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The lane; none (an empty name) for what is scheduled.
    pub lane: String,
    /// It goes before the rest of its lane: a person waits.
    pub is_urgent: bool,
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
    /// The message that it is about is none of this tenant's.
    Unknown,
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
    /// What it does.
    pub operation: Operation,
    /// The message of ours that it is about.
    pub about: Option<MessageId>,
    /// To which channel or user, as the caller named it.
    pub channel: String,
    /// The route by which its channel was found.
    pub route: Option<String>,
    /// Where it stands.
    pub state: MessageState,
    /// It may stand in Slack twice: it was sent again without knowing, or was about to be when its sender died.
    pub is_possible_duplicate: bool,
    /// Where Slack put it.
    pub posted: Option<Posted>,
    /// Why it is not sent: Slack's own word, or what happened.
    pub error: Option<String>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
    /// When it was asked to go out, if not at once.
    pub starts_at: Option<Timestamp>,
    /// While it waits: not before then, for its lane rests until then.
    pub next_at: Option<Timestamp>,
    /// While it waits at the head of a lane that does not move: since when.
    pub parked_since: Option<Timestamp>,
    /// The arguments of Slack's method; in lists empty when they do not open.
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
    /// What it does.
    pub operation: Operation,
    /// The message of ours that it is about, where that stands and where Slack put it.
    pub about: Option<(MessageState, Option<Posted>)>,
    /// To which channel or user, as the caller named it.
    pub channel: String,
    /// The route by which its channel was found.
    pub route: Option<String>,
    /// The lane it waits in.
    pub lane: String,
    /// The number of this attempt; the first is 1.
    pub attempt: u32,
    /// Nobody knows whether Slack has it already.
    pub doubt: Option<Doubt>,
    /// What is done when that cannot be found out.
    pub on_uncertain: OnUncertain,
    /// It may have been sent twice.
    pub is_possible_duplicate: bool,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
    /// The arguments of Slack's method.
    pub arguments: Bytes,
}

impl Claimed {
    /// Whether Slack has just told which channel is meant by what the caller wrote, and that is another lane.
    pub fn is_news(&self, posted: &Posted) -> bool {
        lane(&self.channel) != posted.channel && self.lane != posted.channel
    }
}

/// What is looked for among the lanes.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What time it is.
    pub now: Timestamp,
    /// How long what is taken belongs to whoever took it.
    pub leased_until: Timestamp,
    /// How many are taken at most.
    pub most: usize,
    /// How fast Slack may be called.
    pub paces: Paces,
}

/// What somebody wants of a message that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not to be sent.
    Cancel,
    /// It is to be sent after all, and until then.
    Retry {
        /// When it is no longer worth sending.
        expires_at: Timestamp,
    },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It stands so now.
    Now(MessageState),
    /// It stands so, and can not be changed so.
    Not(MessageState),
    /// There is no such message.
    Unknown,
}

/// A call that goes past the outbox.
#[derive(Clone, Debug)]
pub struct Passing {
    /// Through which installation.
    pub installation: InstallationId,
    /// The method, as [`crate::pace::counted`] names it.
    pub method: &'static str,
    /// The channel that it posts to, as the caller named it.
    pub channel: Option<String>,
    /// How fast Slack may be called.
    pub paces: Paces,
}

/// A turn in a lane for a call that goes past the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is taken: the call goes out then.
    At(Timestamp),
    /// Later than the caller would wait; nothing was taken.
    Later(Timestamp),
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

    /// When the next lane could move; `None`: nothing waits. Asked often, so without writing.
    async fn message_due(&self, now: Timestamp) -> StoreResult<Option<Timestamp>>;

    /// Puts what was to wait until now into its lane, and claims the heads of lanes that are due, in the order of their turns, as
    /// far as Slack's pace allows.
    async fn message_claim(&self, claim: Claim) -> StoreResult<Vec<Claimed>>;

    /// Puts an attempt on record with what follows it, and frees the lane. Whoever comes after the lease ran out
    /// moves nothing; but what Slack surely said still makes an uncertain message certain.
    async fn message_settle(&self, claimed: &Claimed, settlement: Settlement) -> StoreResult<Finished>;

    /// Puts on record of a message that it may stand in Slack twice, before it is sent without knowing: who sends it may die.
    /// False: it is somebody else's to send by now.
    async fn message_mark(&self, claimed: &Claimed) -> StoreResult<bool>;

    /// Whether it is known of a message of Slack's that it is another row's than this.
    async fn message_is_anothers(&self, claimed: &Claimed, posted: &Posted) -> StoreResult<bool>;

    /// Cancels a message, or has it sent after all.
    async fn message_change(
        &self,
        tenant: &TenantId,
        id: MessageId,
        change: Change,
        now: Timestamp,
    ) -> StoreResult<Changed>;

    /// Gives a message that was never tried other arguments. Whether it could.
    async fn message_rewrite(&self, tenant: &TenantId, id: MessageId, arguments: Bytes) -> StoreResult<bool>;

    /// Takes a turn for a call that goes past the outbox: in its channel's lane, if it posts to one, and in its method's
    /// window; not later than `until`.
    async fn turn_take(&self, call: &Passing, now: Timestamp, until: Timestamp) -> StoreResult<Turn>;

    /// Slack refused such a call until then.
    async fn turn_limited(&self, call: &Passing, until: Timestamp, now: Timestamp) -> StoreResult<()>;

    /// Settles what the dead left: posts that were on their way become uncertain, what comes to the same when it is repeated waits
    /// again, and what waited beyond its life expires. Returns how many changed.
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

    /// How many lanes have not moved for longer than [`limits::LANE_PARKED`].
    async fn lanes_parked(&self, now: Timestamp) -> StoreResult<u32>;

    /// How many of a tenant's messages are queued.
    async fn messages_waiting(&self, tenant: &TenantId) -> StoreResult<u32>;

    /// One message, with its arguments and attempts.
    async fn message(&self, tenant: &TenantId, id: MessageId) -> StoreResult<Option<Message>>;
}
