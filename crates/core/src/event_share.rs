//! How many of Slack's requests were not answered with a 2xx, over the last hour.
//!
//! Slack switches an app's events off when more than 95 % of its attempts within an hour fail (fewer than 1,000 events
//! an hour are never switched off). Nobody at Slack warns before that, so the gateway does.
//! Source: docs.slack.dev, Events API, "Failure conditions".

use crate::{Timestamp, limits};

const MINUTE_US: i64 = 60_000_000;
const MINUTES: usize = 60;

/// The last hour, minute by minute.
#[derive(Debug)]
pub struct EventShare {
    minutes: [Minute; MINUTES],
    warned_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// Which, since the epoch.
    number: i64,
    answered: u32,
    failed: u32,
}

/// So many of so many failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Those that failed.
    pub failed: u32,
    /// All of them.
    pub all: u32,
}

impl Default for EventShare {
    fn default() -> Self {
        Self { minutes: [Minute::default(); MINUTES], warned_at: None }
    }
}

impl EventShare {
    /// Counts an answer. When somebody should be told that failures near Slack's limit, says how many there were:
    /// once in [`limits::EVENT_SHARE_PAUSE`].
    pub fn count(&mut self, now: Timestamp, failed: bool) -> Option<Share> {
        let number = now.as_micros() / MINUTE_US;
        let minute = &mut self.minutes[usize::try_from(number.rem_euclid(MINUTES as i64)).unwrap_or(0)];
        if minute.number != number {
            *minute = Minute { number, ..Minute::default() };
        }
        if failed {
            minute.failed += 1;
        } else {
            minute.answered += 1;
            return None;
        }
        let share = self.share(now);
        let is_near = share.all >= limits::EVENT_SHARE_LEAST
            && u64::from(share.failed) * 100 >= u64::from(share.all) * limits::EVENT_SHARE_PERCENT;
        let is_said = self.warned_at.is_some_and(|at| now.since(at) < limits::EVENT_SHARE_PAUSE);
        if !is_near || is_said {
            return None;
        }
        self.warned_at = Some(now);
        Some(share)
    }

    /// Whether anything was answered with a 2xx in the last hour.
    pub fn has_answered(&self, now: Timestamp) -> bool {
        let Share { failed, all } = self.share(now);
        failed < all
    }

    /// The share of the last hour.
    pub fn share(&self, now: Timestamp) -> Share {
        let oldest = now.as_micros() / MINUTE_US - MINUTES as i64;
        let recent = self.minutes.iter().filter(|minute| minute.number > oldest);
        recent.fold(Share { failed: 0, all: 0 }, |sum, minute| Share {
            failed: sum.failed + minute.failed,
            all: sum.all + minute.failed + minute.answered,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn later(minutes: u64) -> Timestamp {
        NOW.after(Duration::from_secs(60 * minutes))
    }

    #[test]
    fn a_warning_comes_when_half_of_an_hours_answers_failed_and_not_before() {
        let mut share = EventShare::default();
        for _ in 0..60 {
            assert_eq!(share.count(NOW, false), None);
        }
        for _ in 0..59 {
            assert_eq!(share.count(later(30), true), None, "fewer than half");
        }
        assert_eq!(share.count(later(30), true), Some(Share { failed: 60, all: 120 }));
        assert_eq!(share.count(later(30), true), None, "once");
        assert_eq!(share.count(later(39), true), None);
        assert!(share.count(later(40), true).is_some(), "and again after ten minutes");
    }

    #[test]
    fn a_few_failures_are_no_reason() {
        let mut share = EventShare::default();
        for _ in 1..limits::EVENT_SHARE_LEAST {
            assert_eq!(share.count(NOW, true), None);
        }
        assert!(share.count(NOW, true).is_some());
    }

    #[test]
    fn what_is_older_than_an_hour_does_not_count() {
        let mut share = EventShare::default();
        for _ in 0..500 {
            share.count(NOW, true);
        }
        assert_eq!(share.share(later(59)), Share { failed: 500, all: 500 });
        assert_eq!(share.share(later(60)), Share { failed: 0, all: 0 });
        assert_eq!(share.count(later(60), true), None, "its place is taken anew");
        assert_eq!(share.share(later(60)), Share { failed: 1, all: 1 });
    }
}
