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

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delivery::{Finished, Reap};
use crate::idempotency::IdempotencyKey;
use crate::names::names;
use crate::{InstallationId, MessageId, Page, PageRequest, Rng, StoreResult, TenantId, Timestamp, limits};

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

/// How an attempt at sending ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// Slack has it.
    Sent(Posted),
    /// Slack said no; the text is Slack's own word.
    Refused(String),
    /// Slack asks for patience.
    Limited {
        /// For how long, when it said.
        retry_after: Option<Duration>,
    },
    /// It surely did not reach Slack.
    NotReached(String),
    /// It may have reached Slack: there was no complete answer.
    Unknown(String),
    /// The process ended before the attempt did.
    Interrupted,
}

/// One attempt, on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAttempt {
    /// Its number; the first is 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took; unknown when the process ended before it did.
    pub duration: Option<Duration>,
    /// `sent`, `refused`, `limited`, `not_reached`, `unknown`, `interrupted`.
    pub outcome: SendOutcome,
    /// Slack's word, or what happened.
    pub error: Option<String>,
}

/// How an attempt ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Slack has it.
    Sent,
    /// Slack said no.
    Refused,
    /// Slack asked for patience.
    Limited,
    /// It did not reach Slack.
    NotReached,
    /// It may have.
    Unknown,
    /// The process ended first.
    Interrupted,
}

names!(SendOutcome {
    Sent = "sent",
    Refused = "refused",
    Limited = "limited",
    NotReached = "not_reached",
    Unknown = "unknown",
    Interrupted = "interrupted",
});

impl SendResult {
    /// The same in one word.
    pub fn outcome(&self) -> SendOutcome {
        match self {
            Self::Sent(_) => SendOutcome::Sent,
            Self::Refused(_) => SendOutcome::Refused,
            Self::Limited { .. } => SendOutcome::Limited,
            Self::NotReached(_) => SendOutcome::NotReached,
            Self::Unknown(_) => SendOutcome::Unknown,
            Self::Interrupted => SendOutcome::Interrupted,
        }
    }

    /// What a person should know of it; `None` when all is well.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Sent(_) => None,
            Self::Refused(error) | Self::NotReached(error) | Self::Unknown(error) => Some(error.clone()),
            Self::Limited { retry_after: Some(wait) } => {
                Some(format!("Slack asked to wait {} s", wait.as_secs()))
            }
            Self::Limited { retry_after: None } => Some("Slack asked to wait".to_owned()),
            Self::Interrupted => Some("the gateway stopped before Slack answered".to_owned()),
        }
    }
}

/// What follows an attempt at sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendNext {
    /// The message has come to its end, and the lane moves on then.
    Settled {
        /// Where the message stands.
        state: MessageState,
        /// When the lane's next message may go.
        lane_at: Timestamp,
    },
    /// The message stays at the head of its lane until then.
    Again {
        /// Not before then.
        at: Timestamp,
    },
}

/// The waits before an attempt is repeated that did not reach Slack; the last goes on.
const WAITS_S: [u64; 5] = [1, 5, 30, 120, 600];

/// Decides what follows attempt number `attempt` that ended at `now`.
pub fn after(
    result: &SendResult,
    attempt: u32,
    now: Timestamp,
    expires_at: Timestamp,
    rng: &dyn Rng,
) -> SendNext {
    let again = |wait: Duration| {
        let at = now.after(wait);
        if at >= expires_at {
            // What keeps this one waiting keeps the next one as well.
            SendNext::Settled { state: MessageState::Expired, lane_at: at }
        } else {
            SendNext::Again { at }
        }
    };
    let settled = |state, wait| SendNext::Settled { state, lane_at: now.after(wait) };
    match result {
        SendResult::Sent(_) => settled(MessageState::Sent, limits::LANE_PACE),
        SendResult::Refused(_) => settled(MessageState::Failed, Duration::ZERO),
        // It may stand in the channel, so it counts for the pace.
        SendResult::Unknown(_) | SendResult::Interrupted => {
            settled(MessageState::Uncertain, limits::LANE_PACE)
        }
        SendResult::Limited { retry_after } => {
            let (least, most) = (limits::LANE_PACE, limits::SLACK_RETRY_AFTER_MAX);
            again(retry_after.unwrap_or(limits::SLACK_RETRY_AFTER).clamp(least, most))
        }
        SendResult::NotReached(_) => {
            let wait_s = WAITS_S[(attempt.saturating_sub(1) as usize).min(WAITS_S.len() - 1)];
            // Lengthened a little, so that what failed together does not return together.
            again(Duration::from_secs(wait_s) + Duration::from_millis(rng.up_to(wait_s * 200)))
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn next(result: &SendResult, attempt: u32) -> SendNext {
        after(result, attempt, NOW, NOW.after(limits::MESSAGE_LIFE), &SystemRng)
    }

    fn state(next: SendNext) -> MessageState {
        match next {
            SendNext::Settled { state, .. } => state,
            SendNext::Again { .. } => panic!("expected an end, got {next:?}"),
        }
    }

    fn wait(next: SendNext) -> Duration {
        match next {
            SendNext::Again { at } => at.since(NOW),
            SendNext::Settled { .. } => panic!("expected another attempt, got {next:?}"),
        }
    }

    fn sent() -> SendResult {
        SendResult::Sent(Posted { channel: "C1".into(), ts: "1.1".into() })
    }

    #[test]
    fn what_may_have_reached_slack_is_never_sent_again_by_itself() {
        assert_eq!(state(next(&SendResult::Unknown("timeout".into()), 1)), MessageState::Uncertain);
        assert_eq!(state(next(&SendResult::Interrupted, 1)), MessageState::Uncertain);
    }

    #[test]
    fn what_surely_did_not_is_sent_again_while_it_is_of_use() {
        let lost = SendResult::NotReached("refused".into());
        for (attempt, wait_s) in [(1, 1), (2, 5), (5, 600), (50, 600)] {
            let waited = wait(next(&lost, attempt));
            let least = Duration::from_secs(wait_s);
            assert!((least..=least * 6 / 5).contains(&waited), "{waited:?} after attempt {attempt}");
        }
        let soon = NOW.after(Duration::from_millis(500));
        assert_eq!(state(after(&lost, 1, NOW, soon, &SystemRng)), MessageState::Expired);
        let limited = SendResult::Limited { retry_after: Some(Duration::from_secs(7)) };
        let SendNext::Settled { lane_at, .. } = after(&limited, 1, NOW, soon, &SystemRng) else { panic!() };
        assert_eq!(lane_at.since(NOW).as_secs(), 7, "the next one waits all the same");
    }

    #[test]
    fn slack_is_given_the_time_it_asks_for() {
        let limited = |retry_after| SendResult::Limited { retry_after };
        assert_eq!(wait(next(&limited(Some(Duration::from_secs(7))), 1)), Duration::from_secs(7));
        assert_eq!(wait(next(&limited(None), 1)), limits::SLACK_RETRY_AFTER);
        assert_eq!(wait(next(&limited(Some(Duration::ZERO)), 1)), limits::LANE_PACE, "never at once");
        let weeks = limited(Some(Duration::from_secs(90_000)));
        assert_eq!(wait(next(&weeks, 1)), limits::SLACK_RETRY_AFTER_MAX, "nor until all has expired");
    }

    #[test]
    fn a_lane_keeps_slacks_pace() {
        let lane_at = |result: &SendResult| match next(result, 1) {
            SendNext::Settled { lane_at, .. } => lane_at.since(NOW),
            other => panic!("{other:?}"),
        };
        assert_eq!(lane_at(&sent()), limits::LANE_PACE);
        assert_eq!(lane_at(&SendResult::Unknown(String::new())), limits::LANE_PACE);
        assert_eq!(lane_at(&SendResult::Refused("is_archived".into())), Duration::ZERO, "nothing was posted");
    }
}
