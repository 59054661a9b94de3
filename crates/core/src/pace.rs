//! Slack's pace: how often a method may be called in a workspace, and how often a channel takes a message.
//!
//! **Theory of operation.** Slack counts calls per method and workspace by the minute, and posts per channel by the second. A
//! *window* stands for one method of one installation, and knows until when it is used up (the generic cell rate algorithm: one
//! number, whatever the rate). Windows are rows, so that the pace holds across replicas and restarts; a call is taken off its
//! window in the transaction that claims it. Posts have one window for the whole workspace, its ceiling, beside the lane of
//! their channel.
//!
//! A 429 is laid to what earned it. Slack does not say whether the channel or the workspace was too fast, so a refused post
//! rests its lane; when another lane is refused before that rest is over, it is the workspace, and all its posts rest.
//!
//! Sources: docs.slack.dev, apis/web-api/rate-limits (tiers 1 to 4: 1, 20, 50 and 100 calls a minute), and
//! reference/methods/chat.postMessage (one message per second and channel; several hundred a minute and workspace).

use std::collections::HashMap;
use std::time::Duration;

use crate::{InstallationId, Timestamp, limits};

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// From one call to the next, when all that was saved up is used.
    pub interval: Duration,
    /// Calls that may come at once after a quiet time.
    pub burst: u32,
}

impl Rule {
    /// So many calls in any minute, however they come.
    pub const fn per_minute(calls: u32) -> Self {
        let burst = if calls < 20 { 1 } else { calls / 20 };
        let steady = if calls > burst { calls - burst } else { 1 };
        Self { interval: Duration::from_micros(60_000_000 / steady as u64), burst }
    }

    /// One call each time this long has passed.
    pub const fn every(interval: Duration, burst: u32) -> Self {
        Self { interval, burst }
    }

    /// When the next call may be made, if calls are counted to be used up until `used_until`.
    fn free_at(self, used_until: Timestamp) -> Timestamp {
        used_until.before(self.interval * (self.burst.max(1) - 1))
    }

    /// When the next call may be made after one at `now`, if that one might have been made from `free_at` on.
    pub fn next_free(self, free_at: Timestamp, now: Timestamp) -> Timestamp {
        free_at.max(self.free_at(now)).after(self.interval)
    }

    /// Until when it is used up, after one more call at `now`.
    pub fn after_one(self, used_until: Timestamp, now: Timestamp) -> Timestamp {
        used_until.max(now).after(self.interval)
    }
}

/// The paces that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paces {
    /// Messages of one channel.
    pub channel: Rule,
    /// Posts of one workspace.
    pub workspace: Rule,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            channel: Rule::every(limits::LANE_PACE, limits::LANE_BURST),
            workspace: Rule::per_minute(limits::WORKSPACE_POSTS_PER_MINUTE),
        }
    }
}

const T1: u32 = 1;
const T2: u32 = 20;
const T3: u32 = 50;
const T4: u32 = 100;

/// What Slack allows by method, in calls per minute, and whether it writes; those that are not named are not counted here.
const TIERS: [(&str, u32, Does); 35] = [
    ("auth.teams.list", T2, Reads),
    ("bookmarks.add", T2, Writes),
    ("bots.info", T3, Reads),
    ("chat.delete", T3, Writes),
    ("chat.meMessage", T3, Writes),
    ("chat.postEphemeral", T4, Writes),
    ("chat.scheduleMessage", T3, Writes),
    ("chat.unfurl", T3, Writes),
    ("chat.update", T3, Writes),
    ("conversations.archive", T2, Writes),
    ("conversations.create", T2, Writes),
    ("conversations.history", T3, Reads),
    ("conversations.info", T3, Reads),
    ("conversations.invite", T3, Writes),
    ("conversations.join", T3, Writes),
    ("conversations.kick", T3, Writes),
    ("conversations.leave", T3, Writes),
    ("conversations.list", T2, Reads),
    ("conversations.members", T4, Reads),
    ("conversations.open", T3, Writes),
    ("conversations.rename", T2, Writes),
    ("conversations.replies", T3, Reads),
    ("conversations.setPurpose", T2, Writes),
    ("conversations.setTopic", T2, Writes),
    ("files.completeUploadExternal", T4, Writes),
    ("files.delete", T3, Writes),
    ("files.getUploadURLExternal", T4, Writes),
    ("pins.add", T2, Writes),
    ("pins.remove", T2, Writes),
    ("reactions.add", T3, Writes),
    ("reactions.remove", T2, Writes),
    ("usergroups.create", T2, Writes),
    ("users.lookupByEmail", T3, Reads),
    ("users.profile.set", T3, Writes),
    ("apps.uninstall", T1, Writes),
];

/// What a method does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Reads,
    Writes,
}
use Does::{Reads, Writes};

/// The window that all posts of a workspace share.
pub const POSTS: &str = "chat.postMessage";

/// A method by its name here, if its calls are counted.
pub fn counted(method: &str) -> Option<&'static str> {
    let named = TIERS.iter().map(|(name, ..)| *name).chain([POSTS]);
    named.into_iter().find(|name| *name == method)
}

/// The same, if it writes.
pub fn written(method: &str) -> Option<&'static str> {
    let reads = |(name, _, does): &(&str, u32, Does)| *name == method && *does == Reads;
    counted(method).filter(|_| !TIERS.iter().any(reads))
}

/// How long Slack wants to be left alone after a 429. Some come without a word of it.
pub fn rest(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(limits::SLACK_RETRY_AFTER).min(limits::SLACK_RETRY_AFTER_MAX)
}

impl Paces {
    /// What a method is held to; `None`: it is not counted.
    pub fn rule(&self, method: &str) -> Option<Rule> {
        if method == POSTS {
            return Some(self.workspace);
        }
        let (_, calls, _) = TIERS.iter().find(|(name, ..)| *name == method)?;
        Some(Rule::per_minute(*calls))
    }
}

/// How much of a method a workspace has used up, and what Slack said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Until when it is used up.
    pub used_until: Timestamp,
    /// Nothing goes until then: Slack said so.
    pub rests_until: Timestamp,
    /// The lane whose post was refused last, and for how long.
    pub limited: Option<(String, Timestamp)>,
    /// Slack has shown that it gives this app one call a minute; believed until then.
    pub slow_until: Timestamp,
}

/// One call a minute: what Slack gives apps that are sold outside its marketplace.
const SLOW: Rule = Rule::every(Duration::from_secs(60), 1);

/// The methods that are so slow for them.
const SLOWED: [&str; 2] = ["conversations.history", "conversations.replies"];

/// A `Retry-After` from which on it is not a burst, but the slow rate.
const SLOW_FROM: Duration = Duration::from_secs(30);

impl Window {
    fn held_to(&self, rule: Rule, now: Timestamp) -> Rule {
        if self.slow_until > now { SLOW } else { rule }
    }

    /// When a call may be made: now, or later.
    pub fn free_at(&self, rule: Rule, now: Timestamp) -> Timestamp {
        self.held_to(rule, now).free_at(self.used_until).max(self.rests_until).max(now)
    }

    /// Takes a call off that is made then.
    pub fn reserve(&mut self, rule: Rule, at: Timestamp) {
        self.used_until = self.held_to(rule, at).after_one(self.used_until, at);
    }

    /// Takes a call off, if there is one; else says when there is.
    pub fn take(&mut self, rule: Rule, now: Timestamp) -> Result<(), Timestamp> {
        let at = self.free_at(rule, now);
        if at > now {
            return Err(at);
        }
        self.reserve(rule, now);
        Ok(())
    }

    /// Slack refused a call of a method until then. A refused post names its lane.
    pub fn limited(&mut self, method: &str, lane: &str, until: Timestamp, now: Timestamp) {
        if method != POSTS {
            self.rests_until = self.rests_until.max(until);
            if SLOWED.contains(&method) && until.since(now) >= SLOW_FROM {
                self.slow_until = now.after(limits::SLOW_BELIEVED);
            }
            return;
        }
        match &self.limited {
            Some((other, resting)) if other != lane && *resting > now => {
                self.rests_until = self.rests_until.max(until);
            }
            _ => self.limited = Some((lane.to_owned(), until)),
        }
    }
}

/// A call that wants to be made.
pub type Called = (InstallationId, &'static str);

/// Lets through what the windows have left, in the order in which it is asked for.
#[derive(Debug)]
pub struct Gate<'p> {
    paces: &'p Paces,
    now: Timestamp,
    windows: HashMap<Called, Window>,
    /// How many wait for each window already.
    refused: HashMap<Called, u32>,
}

impl<'p> Gate<'p> {
    /// With the windows as they are.
    pub fn new(paces: &'p Paces, now: Timestamp, windows: HashMap<Called, Window>) -> Self {
        Self { paces, now, windows, refused: HashMap::new() }
    }

    /// Takes the call off its window, or says when to ask again: each of those that wait at another time, in their order.
    pub fn pass(&mut self, call: Called) -> Result<(), Timestamp> {
        let Some(rule) = self.paces.rule(call.1) else { return Ok(()) };
        let window = self.windows.entry(call).or_default();
        let Err(at) = window.take(rule, self.now) else { return Ok(()) };
        let before = self.refused.entry(call).or_default();
        let at = at.after(window.held_to(rule, self.now).interval * *before);
        *before += 1;
        Err(at)
    }

    /// The windows as they are now.
    pub fn into_windows(self) -> HashMap<Called, Window> {
        self.windows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_minute_sees_more_calls_than_slack_allows(
            calls in 1_u32..700,
            waits_ms in proptest::collection::vec(0_u64..3000, 1..400),
        ) {
            let rule = Rule::per_minute(calls);
            let (mut window, mut now, mut made) = (Window::default(), NOW, Vec::new());
            for wait_ms in waits_ms {
                now = now.after(Duration::from_millis(wait_ms));
                // As many as there are.
                while window.take(rule, now).is_ok() {
                    made.push(now);
                    let within = made.iter().rev().take_while(|at| now.since(**at) < Duration::from_secs(60)).count();
                    prop_assert!(within <= calls as usize, "{within} of {calls}");
                }
                let at = window.take(rule, now).unwrap_err();
                prop_assert!(at > now && at.since(now) <= rule.interval);
            }
        }
    }

    #[test]
    fn a_lane_of_burst_one_keeps_its_distance_and_another_saves_up() {
        let one = Rule::every(SECOND, 1);
        assert_eq!(one.next_free(NOW.before(SECOND * 100), NOW), NOW.after(SECOND));
        let three = Rule::every(SECOND, 3);
        let mut free_at = NOW.before(SECOND * 100);
        for wait in [-1, 0, 1, 2] {
            free_at = three.next_free(free_at, NOW);
            assert_eq!(free_at.as_secs() - NOW.as_secs(), wait);
        }
        let mut window = Window::default();
        for _ in 0..3 {
            assert_eq!(window.take(three, NOW), Ok(()));
        }
        assert_eq!(window.take(three, NOW), Err(NOW.after(SECOND)));
    }

    #[test]
    fn a_refused_post_rests_its_lane_and_a_second_lane_the_workspace() {
        let paces = Paces::default();
        let mut window = Window::default();
        let until = NOW.after(SECOND * 10);
        window.limited(POSTS, "C1", until, NOW);
        assert_eq!(window.take(paces.workspace, NOW), Ok(()), "the others go on");
        window.limited(POSTS, "C1", until.after(SECOND), NOW.after(SECOND * 9));
        assert_eq!(window.rests_until, Timestamp::default(), "the same one again");
        window.limited(POSTS, "C2", until.after(SECOND * 5), NOW.after(SECOND * 9));
        assert_eq!(window.take(paces.workspace, NOW.after(SECOND * 9)), Err(until.after(SECOND * 5)));
        let mut later = Window::default();
        later.limited(POSTS, "C1", until, NOW);
        later.limited(POSTS, "C2", until.after(SECOND * 60), until);
        assert_eq!(later.rests_until, Timestamp::default(), "each after the other had its rest");
    }

    #[test]
    fn one_call_a_minute_is_believed_once_slack_says_so() {
        let rule = Paces::default().rule("conversations.history").unwrap();
        let mut window = Window::default();
        assert!(window.take(rule, NOW).is_ok());
        let history = "conversations.history";
        window.limited(history, "C1", NOW.after(SECOND * 5), NOW);
        assert_eq!(window.slow_until, Timestamp::default());
        window.limited(history, "C1", NOW.after(SECOND * 60), NOW);
        let then = NOW.after(SECOND * 60);
        assert_eq!(window.take(rule, then), Ok(()));
        assert_eq!(window.take(rule, then), Err(then.after(SECOND * 60)));
    }

    #[test]
    fn those_that_wait_are_called_one_after_the_other() {
        let paces = Paces { workspace: Rule::every(SECOND, 1), ..Paces::default() };
        let call = (InstallationId::from_bytes([1; 16]), POSTS);
        let mut gate = Gate::new(&paces, NOW, HashMap::new());
        assert_eq!(gate.pass(call), Ok(()));
        assert_eq!(gate.pass(call), Err(NOW.after(SECOND)));
        assert_eq!(gate.pass(call), Err(NOW.after(SECOND * 2)));
        assert_eq!(gate.pass((call.0, "views.open")), Ok(()), "what is not counted passes");
        assert_eq!(gate.into_windows()[&call].used_until, NOW.after(SECOND));
    }

    #[test]
    fn each_method_stands_once() {
        let names = TIERS.map(|(name, ..)| name).into_iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(names.len(), TIERS.len());
    }
}
