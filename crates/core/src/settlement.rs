//! What became of a claimed message, as the store puts it on record.

use crate::looking::Doubt;
use crate::outbox::{Claimed, MessageState, Posted};
use crate::pace::{Paces, Rule};
use crate::sending::{SendAttempt, SendNext, SendOutcome, SendResult};
use crate::{Timestamp, limits};

/// What became of a claimed message.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The attempt.
    pub attempt: SendAttempt,
    /// When it ended; of one that was cut short, when that was seen.
    pub ended_at: Timestamp,
    /// Where Slack put it.
    pub posted: Option<Posted>,
    /// What follows.
    pub next: SendNext,
    /// Slack asked for patience until then.
    pub limited_until: Option<Timestamp>,
    /// How fast the channel takes messages.
    pub pace: Rule,
}

impl Settlement {
    /// What becomes of a message whose sender died. What had been put down of it, a moment ago or long ago, is that it was
    /// leased.
    pub fn interrupted(claimed: &Claimed, leased_until: Timestamp, now: Timestamp) -> Self {
        let started_at = leased_until.before(limits::SEND_LEASE);
        let at = now.after(limits::LANE_PACE);
        let next = if claimed.operation.shows_each_time() {
            SendNext::Doubt { at, since: Some(started_at) }
        } else {
            SendNext::Again { at }
        };
        let attempt = SendAttempt {
            number: claimed.attempt,
            started_at,
            duration: None,
            outcome: SendOutcome::Interrupted,
            error: SendResult::Interrupted.error(),
        };
        let pace = Paces::default().channel;
        Self { attempt, ended_at: now, posted: None, next, limited_until: None, pace }
    }

    /// Where the message stands afterwards.
    pub fn state(&self) -> MessageState {
        match self.next {
            SendNext::Settled { state, .. } => state,
            SendNext::Again { .. } => MessageState::Queued,
            SendNext::Doubt { .. } => MessageState::Uncertain,
        }
    }

    /// Since when nobody knows whether Slack has it.
    pub fn doubt(&self, claimed: &Claimed) -> Option<Doubt> {
        match (self.next, claimed.doubt) {
            (SendNext::Doubt { since: Some(since), .. }, before) => {
                Some(Doubt { since: before.map_or(since, |before| before.since), at: self.ended_at })
            }
            (SendNext::Doubt { since: None, .. }, before) => before,
            _ => None,
        }
    }

    /// When the lane moves again that could have moved since `free_at`.
    pub fn lane_at(&self, free_at: Timestamp) -> Timestamp {
        match self.next {
            // Slack may have asked for patience meanwhile.
            SendNext::Again { at } | SendNext::Doubt { at, .. } => at.max(free_at),
            SendNext::Settled { is_posted: true, lane_at, .. } => {
                lane_at.max(self.pace.next_free(free_at, self.ended_at))
            }
            SendNext::Settled { lane_at, .. } => lane_at.max(free_at),
        }
    }
}
