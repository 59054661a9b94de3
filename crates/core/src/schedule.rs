//! What follows an attempt: nothing, another at a later time, or the dead letters.

use std::time::Duration;

use crate::delivery::{AttemptResult, DeadReason};
use crate::kinds::{Policy, Redelivered};
use crate::{Rng, Timestamp, limits};

/// The waits before the second, third … attempt. The first attempt is made at once.
const WAITS_S: [u64; 9] = [5, 30, 2 * 60, 10 * 60, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 24 * 3_600];

/// A wait is lengthened by up to this part of itself, so that what failed together does not return together.
/// Never shortened: the schedule is what operators were told.
const JITTER_PART: u64 = 5;

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The endpoint has it.
    Delivered,
    /// Another attempt.
    Retry {
        /// Not before then.
        at: Timestamp,
    },
    /// No more attempts by themselves.
    Dead {
        /// Why.
        reason: DeadReason,
    },
}

/// Decides what follows attempt number `attempt` (the first is 1) that ended at `now`.
pub fn after(
    policy: &Policy,
    result: &AttemptResult,
    attempt: u32,
    now: Timestamp,
    expires_at: Timestamp,
    rng: &dyn Rng,
) -> Next {
    if matches!(result, AttemptResult::Answered(_)) {
        return Next::Delivered;
    }
    let again = match policy.redelivered {
        Redelivered::OnAnyFailure => true,
        Redelivered::IfItDidNotRun => result.surely_did_not_run(),
        Redelivered::Never => false,
    };
    if !again {
        return Next::Dead { reason: DeadReason::NotRepeatable };
    }
    let Some(wait_s) = WAITS_S.get(attempt.saturating_sub(1) as usize) else {
        return Next::Dead { reason: DeadReason::Exhausted };
    };
    let wait = Duration::from_secs(*wait_s);
    let jitter = Duration::from_millis(rng.up_to(wait_s * 1000 / JITTER_PART));
    let asked = result.retry_after().unwrap_or_default().min(limits::RETRY_AFTER);
    let at = now.after((wait + jitter).max(asked));
    if at >= expires_at { Next::Dead { reason: DeadReason::Expired } } else { Next::Retry { at } }
}

/// Decides what follows an attempt whose holder is gone: nobody knows whether the handler ran.
pub fn after_interruption(policy: &Policy, attempt: u32, now: Timestamp, expires_at: Timestamp) -> Next {
    let reason = match policy.redelivered {
        Redelivered::IfItDidNotRun | Redelivered::Never => DeadReason::NotRepeatable,
        Redelivered::OnAnyFailure if now >= expires_at => DeadReason::Expired,
        Redelivered::OnAnyFailure if attempt as usize > WAITS_S.len() => DeadReason::Exhausted,
        // At once the first time: most often the handler is well and it was the gateway that was restarted.
        // After that by the schedule, so that quick restarts do not use up a request's attempts.
        Redelivered::OnAnyFailure => {
            let wait_s = attempt.checked_sub(2).map_or(0, |before| WAITS_S[before as usize]);
            return Next::Retry { at: now.after(Duration::from_secs(wait_s)) };
        }
    };
    Next::Dead { reason }
}

#[cfg(test)]
mod tests {
    use tautline_slack::request::Kind;

    use super::*;
    use crate::SystemRng;
    use crate::delivery::Answer;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn refused(status: u16, retry_after_s: Option<u64>) -> AttemptResult {
        let retry_after = retry_after_s.map(Duration::from_secs);
        AttemptResult::Refused { answer: Answer { status, ..Answer::default() }, retry_after }
    }

    fn next(kind: Kind, result: &AttemptResult, attempt: u32) -> Next {
        let policy = Policy::of(kind);
        after(&policy, result, attempt, NOW, policy.expires_at(NOW), &SystemRng)
    }

    fn wait_s(next: &Next) -> u64 {
        match next {
            Next::Retry { at } => at.since(NOW).as_secs(),
            other => panic!("expected another attempt, got {other:?}"),
        }
    }

    #[test]
    fn a_2xx_ends_it() {
        assert_eq!(next(Kind::Event, &AttemptResult::Answered(Answer::default()), 1), Next::Delivered);
    }

    #[test]
    fn an_event_is_tried_by_the_whole_schedule_with_jitter_upwards() {
        for (index, wait) in WAITS_S.iter().enumerate().take(8) {
            for _ in 0..20 {
                let waited =
                    wait_s(&next(Kind::Event, &refused(500, None), u32::try_from(index).unwrap() + 1));
                assert!((*wait..=wait + wait / 5).contains(&waited), "{waited} s for {wait} s");
            }
        }
        let dead = Next::Dead { reason: DeadReason::Exhausted };
        assert_eq!(next(Kind::Event, &refused(500, None), 10), dead);
    }

    #[test]
    fn the_kinds_life_cuts_the_schedule() {
        let dead = Next::Dead { reason: DeadReason::Expired };
        assert_eq!(next(Kind::BlockAction, &refused(500, None), 5), dead, "an hour is more than 30 minutes");
    }

    #[test]
    fn a_command_runs_again_only_if_it_surely_did_not_run() {
        let dead = Next::Dead { reason: DeadReason::NotRepeatable };
        for ran in [refused(500, None), AttemptResult::Unknown { error: "timeout".into() }] {
            assert_eq!(next(Kind::Command, &ran, 1), dead);
        }
        let not_reached = AttemptResult::NotReached { error: "refused".into() };
        for did_not in [refused(429, None), refused(503, None), not_reached] {
            assert!(wait_s(&next(Kind::Command, &did_not, 1)) >= 5);
        }
    }

    #[test]
    fn a_submission_is_never_repeated() {
        let dead = Next::Dead { reason: DeadReason::NotRepeatable };
        assert_eq!(next(Kind::ViewSubmission, &refused(503, None), 1), dead);
    }

    #[test]
    fn an_interrupted_attempt_is_repeated_only_if_the_kind_may_run_twice() {
        let next = |kind, attempt| {
            let policy = Policy::of(kind);
            after_interruption(&policy, attempt, NOW, policy.expires_at(NOW))
        };
        assert_eq!(next(Kind::Event, 1), Next::Retry { at: NOW });
        assert_eq!(wait_s(&next(Kind::Event, 2)), 5, "restarts in quick succession use nothing up");
        assert_eq!(wait_s(&next(Kind::Event, 9)), 12 * 3_600);
        assert_eq!(next(Kind::BlockAction, 1), Next::Retry { at: NOW });
        assert_eq!(next(Kind::Event, 10), Next::Dead { reason: DeadReason::Exhausted });
        for kind in [Kind::Command, Kind::ViewSubmission] {
            assert_eq!(next(kind, 1), Next::Dead { reason: DeadReason::NotRepeatable });
        }
    }

    #[test]
    fn retry_after_lengthens_a_wait_but_never_shortens_it() {
        assert_eq!(wait_s(&next(Kind::Event, &refused(429, Some(600)), 1)), 600);
        assert!(wait_s(&next(Kind::Event, &refused(429, Some(1)), 2)) >= 30);
        assert_eq!(
            wait_s(&next(Kind::Event, &refused(429, Some(u64::MAX)), 1)),
            limits::RETRY_AFTER.as_secs()
        );
    }
}
