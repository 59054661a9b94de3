//! A message of which nobody knows whether Slack has it: it is looked for, and then one goes on.
//!
//! **Theory of operation.** Slack's methods that post know no idempotency key, so a post whose answer was lost is not simply
//! repeated. It stays at the head of its lane as *uncertain*, and its channel's history is looked through. Found: it is sent. Not
//! there, and long enough ago to be there: it is sent again, for it surely is not. When nothing can be learned (the app may not
//! read there, Slack does not answer, its limit is used up) for a minute, it is as the caller wishes: sent again and marked, as
//! it may stand there twice, or held.

use crate::operation::OnUncertain;
use crate::outbox::Posted;
use crate::{Timestamp, limits};

/// Since when nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// When the first attempt began whose outcome is unknown.
    pub since: Timestamp,
    /// When the last one ended.
    pub at: Timestamp,
}

/// What a look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is there.
    There(Posted),
    /// It is not.
    NotThere,
    /// Nothing was learned this time; not before then another look makes sense.
    Nothing {
        /// When Slack will be asked again.
        again_at: Timestamp,
        /// Why.
        why: String,
    },
    /// Nothing will be learned.
    Never(String),
}

/// What follows a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Slack has it.
    Sent(Posted),
    /// Slack does not have it, as far as anybody can see: it is sent.
    Send {
        /// It may stand there twice afterwards.
        is_marked: bool,
    },
    /// Another look is taken then.
    Look {
        /// When.
        at: Timestamp,
        /// Why this one was not enough.
        why: String,
    },
    /// Somebody must say what to do.
    Hold(String),
}

/// Decides what follows a look at `now`. What was sent blindly once is not sent so again: a Slack that loses every answer would
/// have it dozens of times. It is looked for until something is learned, or held where nothing will be.
pub fn after(seen: Seen, doubt: Doubt, now: Timestamp, wish: OnUncertain, was_resent: bool) -> Then {
    let give_up = |why: String| match wish {
        OnUncertain::Resend if !was_resent => Then::Send { is_marked: true },
        OnUncertain::Resend | OnUncertain::Hold => Then::Hold(why),
    };
    let ends_at = doubt.at.after(limits::LOOK_UP);
    let goes_on = was_resent && wish == OnUncertain::Resend;
    match seen {
        Seen::There(posted) => Then::Sent(posted),
        Seen::NotThere if now >= doubt.at.after(limits::LOOK_UP_SETTLED) => Then::Send { is_marked: false },
        Seen::NotThere => {
            Then::Look { at: doubt.at.after(limits::LOOK_UP_SETTLED), why: "it is not there yet".to_owned() }
        }
        Seen::Never(why) => give_up(why),
        Seen::Nothing { why, .. } if now >= ends_at && !goes_on => give_up(why),
        Seen::Nothing { again_at, why } => {
            let soonest = now.after(limits::LOOK_UP_PAUSE);
            let at = again_at.max(soonest);
            Then::Look { at: if now < ends_at { at.min(ends_at.max(soonest)) } else { at }, why }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DOUBT: Doubt = Doubt { since: Timestamp::from_micros(0), at: Timestamp::from_micros(10_000_000) };

    fn at_s(seconds: u64) -> Timestamp {
        DOUBT.at.after(Duration::from_secs(seconds))
    }

    fn then(seen: Seen, seconds: u64, wish: OnUncertain) -> Then {
        after(seen, DOUBT, at_s(seconds), wish, false)
    }

    #[test]
    fn what_is_there_was_sent_and_what_stays_away_is_sent_again() {
        let posted = Posted { channel: "C1".into(), ts: "1.1".into() };
        assert_eq!(then(Seen::There(posted.clone()), 1, OnUncertain::Hold), Then::Sent(posted));
        let Then::Look { at, .. } = then(Seen::NotThere, 1, OnUncertain::Resend) else { panic!() };
        assert_eq!(at, DOUBT.at.after(limits::LOOK_UP_SETTLED), "it may still come");
        let settled = limits::LOOK_UP_SETTLED.as_secs();
        assert_eq!(then(Seen::NotThere, settled, OnUncertain::Hold), Then::Send { is_marked: false });
    }

    #[test]
    fn a_lane_waits_a_minute_for_what_cannot_be_learned() {
        let nothing = |again_s| Seen::Nothing { again_at: at_s(again_s), why: "limited".into() };
        let look = |again_s, now_s| match then(nothing(again_s), now_s, OnUncertain::Resend) {
            Then::Look { at, .. } => at,
            other => panic!("{other:?}"),
        };
        assert_eq!(look(30, 10), at_s(30));
        assert_eq!(look(10, 10), at_s(12), "not at once");
        assert_eq!(look(300, 10), at_s(60), "and not beyond");
        assert_eq!(then(nothing(90), 60, OnUncertain::Resend), Then::Send { is_marked: true });
        assert_eq!(then(nothing(90), 60, OnUncertain::Hold), Then::Hold("limited".into()));
    }

    #[test]
    fn what_was_sent_blindly_once_is_looked_for_until_something_is_learned() {
        let nothing = || Seen::Nothing { again_at: at_s(300), why: "limited".into() };
        let resent = |seen, seconds, wish| after(seen, DOUBT, at_s(seconds), wish, true);
        let look = |at, seconds| {
            assert_eq!(
                resent(nothing(), seconds, OnUncertain::Resend),
                Then::Look { at, why: "limited".into() },
                "{seconds}"
            );
        };
        look(at_s(60), 10);
        look(at_s(300), 60);
        look(at_s(302), 300);
        assert_eq!(resent(nothing(), 60, OnUncertain::Hold), Then::Hold("limited".into()));
        assert_eq!(resent(Seen::NotThere, 90, OnUncertain::Resend), Then::Send { is_marked: false });
    }

    #[test]
    fn where_the_app_may_not_look_nobody_waits() {
        let never = Seen::Never("not_in_channel".into());
        assert_eq!(then(never.clone(), 0, OnUncertain::Resend), Then::Send { is_marked: true });
        assert_eq!(then(never.clone(), 0, OnUncertain::Hold), Then::Hold("not_in_channel".into()));
        let again = after(never, DOUBT, at_s(0), OnUncertain::Resend, true);
        assert_eq!(again, Then::Hold("not_in_channel".into()), "blindly once, and not for ever");
    }
}
