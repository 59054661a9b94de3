//! An attempt at sending a message: how it ended, and what follows.

use std::time::Duration;

use crate::names::names;
use crate::operation::Operation;
use crate::outbox::{MessageState, Posted};
use crate::{Rng, Timestamp, limits, pace};

/// How an attempt at sending ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// Slack has it; where, if it said.
    Sent(Option<Posted>),
    /// It was looked for, and Slack has it.
    Found(Posted),
    /// It was looked for, and that was not enough.
    LookedUp {
        /// When it is looked for again.
        again_at: Timestamp,
        /// Why.
        why: String,
    },
    /// It was looked for, and somebody must say what to do.
    Undecided(String),
    /// Slack said no, for good; the text is Slack's own word.
    Refused(String),
    /// Slack said no, and will take it in minutes or hours.
    Postponed(String),
    /// Slack said no, with a word that we do not know.
    Odd(String),
    /// Slack asks for patience.
    Limited {
        /// For how long, when it said.
        retry_after: Option<Duration>,
    },
    /// It surely did not reach Slack.
    NotReached(String),
    /// It was not tried: Slack's pace for what must be asked first is used up.
    TooSoon {
        /// Until then.
        at: Timestamp,
        /// Whose pace it is.
        why: String,
    },
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
    /// `sent`, `found`, `looked_up`, `refused`, `limited`, `not_reached`, `unknown`, `interrupted`.
    pub outcome: SendOutcome,
    /// Slack's word, or what happened.
    pub error: Option<String>,
}

/// How an attempt ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Slack has it.
    Sent,
    /// Slack had it.
    Found,
    /// It was looked for, in vain so far.
    LookedUp,
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
    Found = "found",
    LookedUp = "looked_up",
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
            Self::Found(_) => SendOutcome::Found,
            Self::LookedUp { .. } | Self::Undecided(_) => SendOutcome::LookedUp,
            Self::Refused(_) | Self::Postponed(_) | Self::Odd(_) => SendOutcome::Refused,
            Self::Limited { .. } => SendOutcome::Limited,
            Self::NotReached(_) | Self::TooSoon { .. } => SendOutcome::NotReached,
            Self::Unknown(_) => SendOutcome::Unknown,
            Self::Interrupted => SendOutcome::Interrupted,
        }
    }

    /// What a person should know of it; `None` when all is well.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Sent(_) | Self::Found(_) => None,
            Self::LookedUp { why, .. } | Self::TooSoon { why, .. } => Some(why.clone()),
            Self::Undecided(error)
            | Self::Refused(error)
            | Self::Postponed(error)
            | Self::Odd(error)
            | Self::NotReached(error)
            | Self::Unknown(error) => Some(error.clone()),
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
        /// Whether the channel has one more message, which counts for its pace.
        is_posted: bool,
        /// When the lane's next message may go, the pace aside.
        lane_at: Timestamp,
    },
    /// The message stays at the head of its lane until then.
    Again {
        /// Not before then.
        at: Timestamp,
    },
    /// Nobody knows whether Slack has it: it stays at the head of its lane, and is looked for then.
    Doubt {
        /// Not before then.
        at: Timestamp,
        /// When the attempt began whose outcome is unknown; of a look at a doubt that was there before, none.
        since: Option<Timestamp>,
    },
}

/// The waits before an attempt is repeated that did not reach Slack; the last goes on.
const WAITS_S: [u64; 5] = [1, 5, 30, 120, 600];

/// The waits after Slack said that it will take it later; the last goes on.
const LATER_S: [u64; 4] = [60, 5 * 60, 15 * 60, 60 * 60];

/// Over how long those come again who came too soon, at most.
const TOO_SOON_SPREAD_S: u64 = 60;

/// The waits after a word that we do not know; then it counts as a no for good.
const ODD_S: [u64; 2] = [5, 60];

/// Decides what follows attempt number `attempt` at an operation, which took from `started_at` to `now`.
pub fn after(
    result: &SendResult,
    operation: Operation,
    attempt: u32,
    (started_at, now): (Timestamp, Timestamp),
    expires_at: Timestamp,
    rng: &dyn Rng,
) -> SendNext {
    let again = |wait: Duration| {
        let at = now.after(wait);
        if at >= expires_at {
            // What keeps this one waiting keeps the next one as well.
            SendNext::Settled { state: MessageState::Expired, is_posted: false, lane_at: at }
        } else {
            SendNext::Again { at }
        }
    };
    let settled = |state, is_posted| SendNext::Settled { state, is_posted, lane_at: now };
    match result {
        SendResult::Sent(_) | SendResult::Found(_) => settled(MessageState::Sent, operation.posts()),
        SendResult::LookedUp { again_at, .. } => SendNext::Doubt { at: *again_at, since: None },
        SendResult::Undecided(_) => settled(MessageState::Held, false),
        SendResult::Refused(_) => settled(MessageState::Failed, false),
        SendResult::Unknown(_) | SendResult::Interrupted if operation.shows_each_time() => {
            // At least every other attempt is a look, and where looking is slow most are: the lane waits for none of them for long.
            let pause = lengthened(nth(&WAITS_S, attempt.div_ceil(2)), rng);
            let pause = pause.clamp(limits::LOOK_UP_PAUSE, limits::LOOK_UP / 2);
            SendNext::Doubt { at: now.after(pause), since: Some(started_at) }
        }
        SendResult::Unknown(_) | SendResult::Interrupted | SendResult::NotReached(_) => {
            again(lengthened(nth(&WAITS_S, attempt), rng))
        }
        SendResult::TooSoon { at, .. } => {
            // All who wait for the same hear of the same time: the longer they have waited, the wider they are spread.
            let spread = 2_u64.saturating_pow(attempt.min(8)).min(TOO_SOON_SPREAD_S);
            again(at.since(now) + Duration::from_millis(rng.up_to(spread * 1000)))
        }
        SendResult::Limited { .. } => again(limited_for(result).unwrap_or_default()),
        SendResult::Postponed(_) => again(lengthened(nth(&LATER_S, attempt), rng)),
        SendResult::Odd(_) if attempt as usize <= ODD_S.len() => again(lengthened(nth(&ODD_S, attempt), rng)),
        SendResult::Odd(_) => settled(MessageState::Failed, false),
    }
}

/// For how long Slack asked for patience, within reason.
pub fn limited_for(result: &SendResult) -> Option<Duration> {
    let SendResult::Limited { retry_after } = result else { return None };
    Some(pace::rest(*retry_after).max(limits::LANE_PACE))
}

fn nth(waits_s: &[u64], attempt: u32) -> u64 {
    waits_s[(attempt.saturating_sub(1) as usize).min(waits_s.len() - 1)]
}

/// A little, so that what failed together does not return together.
fn lengthened(wait_s: u64, rng: &dyn Rng) -> Duration {
    Duration::from_secs(wait_s) + Duration::from_millis(rng.up_to(wait_s * 200))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
    const BEGUN: Timestamp = Timestamp::from_micros(999_000_000);

    fn next(result: &SendResult, attempt: u32) -> SendNext {
        of(Operation::Post, result, attempt, NOW.after(limits::MESSAGE_LIFE))
    }

    fn of(operation: Operation, result: &SendResult, attempt: u32, expires_at: Timestamp) -> SendNext {
        after(result, operation, attempt, (BEGUN, NOW), expires_at, &SystemRng)
    }

    fn state(next: SendNext) -> MessageState {
        match next {
            SendNext::Settled { state, .. } => state,
            _ => panic!("expected an end, got {next:?}"),
        }
    }

    fn wait(next: SendNext) -> Duration {
        match next {
            SendNext::Again { at } => at.since(NOW),
            _ => panic!("expected another attempt, got {next:?}"),
        }
    }

    fn sent() -> SendResult {
        SendResult::Sent(Some(Posted { channel: "C1".into(), ts: "1.1".into() }))
    }

    #[test]
    fn what_may_have_reached_slack_is_looked_for_first() {
        let at = NOW.after(limits::LOOK_UP_PAUSE);
        for lost in [SendResult::Unknown("timeout".into()), SendResult::Interrupted] {
            assert_eq!(next(&lost, 1), SendNext::Doubt { at, since: Some(BEGUN) });
            let repeated = of(Operation::Update, &lost, 1, NOW.after(limits::MESSAGE_LIFE));
            assert!(wait(repeated) >= Duration::from_secs(1), "what comes to the same is repeated");
        }
        for attempt in [5, 9, 100] {
            let next = next(&SendResult::Interrupted, attempt);
            let SendNext::Doubt { at, .. } = next else { panic!("{next:?}") };
            assert_eq!(
                at,
                NOW.after(limits::LOOK_UP / 2),
                "however many looks came before attempt {attempt}"
            );
        }
        let look = SendResult::LookedUp { again_at: at, why: "limited".into() };
        assert_eq!(next(&look, 2), SendNext::Doubt { at, since: None });
        assert_eq!(state(next(&SendResult::Undecided("limited".into()), 9)), MessageState::Held);
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
        assert_eq!(state(of(Operation::Post, &lost, 1, soon)), MessageState::Expired);
        let limited = SendResult::Limited { retry_after: Some(Duration::from_secs(7)) };
        let SendNext::Settled { lane_at, .. } = of(Operation::Post, &limited, 1, soon) else { panic!() };
        assert_eq!(lane_at.since(NOW).as_secs(), 7, "the next one waits all the same");
    }

    #[test]
    fn what_works_again_later_waits_and_an_unknown_word_is_believed_the_third_time() {
        let later = SendResult::Postponed("team_added_to_org".into());
        for (attempt, wait_s) in [(1, 60), (4, 3600), (40, 3600)] {
            assert!(wait(next(&later, attempt)) >= Duration::from_secs(wait_s), "{attempt}");
        }
        let odd = SendResult::Odd("made_up".into());
        assert!(
            wait(next(&odd, 1)) >= Duration::from_secs(5) && wait(next(&odd, 2)) >= Duration::from_secs(60)
        );
        assert_eq!(state(next(&odd, 3)), MessageState::Failed);
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
    fn who_came_too_soon_comes_again_when_it_was_told_and_not_with_all_others() {
        let at = NOW.after(Duration::from_secs(30));
        let soon = SendResult::TooSoon { at, why: "Slack's pace for users.lookupByEmail is used up".into() };
        for (attempt, most_s) in [(1, 2), (5, 32), (50, 60)] {
            let waits = (0..100).map(|_| wait(next(&soon, attempt))).collect::<Vec<_>>();
            let (least, most) = (Duration::from_secs(30), Duration::from_secs(30 + most_s));
            assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{attempt}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait > least + Duration::from_secs(most_s / 2)), "{attempt}");
        }
    }

    #[test]
    fn what_stands_in_the_channel_counts_for_its_pace() {
        let counts = |operation, result: &SendResult| match of(operation, result, 1, NOW) {
            SendNext::Settled { is_posted, .. } => is_posted,
            other => panic!("{other:?}"),
        };
        assert!(counts(Operation::Post, &sent()) && counts(Operation::Share, &SendResult::Sent(None)));
        assert!(!counts(Operation::Update, &sent()) && !counts(Operation::React, &SendResult::Sent(None)));
        assert!(!counts(Operation::Post, &SendResult::Refused("is_archived".into())), "nothing was posted");
    }
}
