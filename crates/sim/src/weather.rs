//! How Slack is today: what it limits, and what it loses. Off unless somebody asks; then drawn from the seed, so that no two
//! runs' numbers are the gateway's own.

use std::collections::HashMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What goes wrong, of a thousand calls that say or look for something.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Weather {
    /// Refused with 429, whatever the caller's pace.
    limited: u32,
    /// The same, without a body.
    limited_bare: u32,
    /// 500, and nothing is done.
    broken: u32,
    /// The connection ends before anything is done.
    cut: u32,
    /// `internal_error`, and it is done.
    internal: u32,
    /// It is done, and the connection ends before the answer.
    lost: u32,
    /// It is done, and no answer ever comes.
    held: u32,
    /// Whether it keeps limits of its own.
    limits: bool,
    /// How many times as fast as Slack these are; 0 is once.
    speed: u32,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Limited { retry_after_s: u32, is_bare: bool },
    Broken,
    Cut,
    DoneBut(Mishap),
}

/// How the answer of what was done is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    Internal,
    Lost,
    Held,
}

/// A bucket: so many at once, and so many a second after that.
struct Bucket {
    left: f64,
    at: Instant,
    size: f64,
    a_second: f64,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> Result<(), u32> {
        let refilled = now.duration_since(self.at).as_secs_f64() * self.a_second;
        (self.left, self.at) = ((self.left + refilled).min(self.size), now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(((1.0 - self.left) / self.a_second).ceil().max(1.0) as u32)
    }
}

/// The weather, and what its limits have counted.
#[derive(Default)]
pub(crate) struct Sky {
    pub(crate) weather: Weather,
    buckets: HashMap<String, Bucket>,
    /// Calls that came too fast.
    pub(crate) too_fast: u64,
    /// Calls that could have.
    pub(crate) counted: u64,
}

/// Methods that Slack counts by the minute, and how many it takes at least.
const TIERS: [(&str, f64); 8] = [
    ("chat.update", 50.0),
    ("chat.delete", 50.0),
    ("chat.postEphemeral", 100.0),
    ("reactions.add", 50.0),
    ("conversations.history", 50.0),
    ("conversations.replies", 50.0),
    ("conversations.list", 20.0),
    ("users.lookupByEmail", 50.0),
];

impl Sky {
    /// What becomes of a call of a workspace.
    pub(crate) fn fate(&mut self, method: &str, team: &str, channel: &str, rng: &mut fastrand::Rng) -> Fate {
        let said = ["chat.", "conversations.", "reactions.", "files.complete", "users.lookup"];
        if !said.iter().any(|family| method.starts_with(family)) {
            return Fate::Done;
        }
        if self.weather.limits
            && let Err(retry_after_s) = self.count(method, team, channel, rng)
        {
            self.too_fast += 1;
            return Fate::Limited { retry_after_s, is_bare: rng.bool() };
        }
        let Weather { limited, limited_bare, broken, cut, internal, lost, held, .. } = self.weather;
        let retry_after_s = rng.u32(1..=2);
        let fates = [
            (limited, Fate::Limited { retry_after_s, is_bare: false }),
            (limited_bare, Fate::Limited { retry_after_s, is_bare: true }),
            (broken, Fate::Broken),
            (cut, Fate::Cut),
            (internal, Fate::DoneBut(Mishap::Internal)),
            (lost, Fate::DoneBut(Mishap::Lost)),
            (held, Fate::DoneBut(Mishap::Held)),
        ];
        let mut draw = rng.u32(0..1000);
        for (share, fate) in fates {
            if draw < share {
                return fate;
            }
            draw -= share;
        }
        Fate::Done
    }

    fn count(&mut self, method: &str, team: &str, channel: &str, rng: &mut fastrand::Rng) -> Result<(), u32> {
        self.counted += 1;
        let now = Instant::now();
        let speed = f64::from(self.weather.speed.max(1));
        let mut bucket = |key: String, size: f64, a_second: f64| {
            let new = || Bucket { left: size, at: now, size, a_second };
            self.buckets.entry(key).or_insert_with(new).take(now)
        };
        if method == "chat.postMessage" {
            // One a second, and a little more; several hundred a minute.
            let a_second = (1.0 + rng.f64() / 20.0) * speed;
            bucket(format!("{team} {channel}"), f64::from(rng.u32(1..=3)), a_second)?;
            return bucket(team.to_owned(), (40.0 + rng.f64() * 20.0) * speed, (10.0 + rng.f64()) * speed);
        }
        match TIERS.iter().find(|(name, _)| *name == method) {
            Some((_, a_minute)) => {
                bucket(format!("{team} {method}"), a_minute / 10.0 + rng.f64() * 5.0, a_minute / 60.0)
            }
            None => Ok(()),
        }
    }
}
