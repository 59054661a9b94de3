//! Where Slack's documentation gives a number, Slack has some play; here it is drawn from the seed.

use std::time::Duration;

/// How long to wait before each retry.
#[derive(Clone, Copy, Debug)]
pub struct RetryWaits(pub [Duration; 3]);

impl RetryWaits {
    /// Slack's own: nearly at once, after a minute, after five.
    pub const SLACKS: Self =
        Self([Duration::from_millis(300), Duration::from_secs(60), Duration::from_secs(300)]);
}

/// The tolerances of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temper {
    /// How long an answer may take: three seconds, or a little less.
    pub(crate) patience: Duration,
    /// How far this Slack's clock is from ours.
    pub(crate) clock_offset_s: i64,
    /// How long an OAuth code lives: ten minutes, or a little less.
    pub(crate) code_life_s: i64,
    /// How long a `trigger_id` lives: three seconds, or a little less.
    pub(crate) trigger_life: Duration,
    /// How many characters the secret part of a token has.
    pub(crate) token_chars: usize,
    /// How long a refresh token that was used is good all the same: Slack says no more than that it is short.
    pub(crate) refresh_grace_s: i64,
}

impl Temper {
    pub(crate) fn draw(rng: &mut fastrand::Rng) -> Self {
        Self {
            patience: Duration::from_millis(rng.u64(2_850..=3_000)),
            clock_offset_s: rng.i64(-2..=2),
            code_life_s: rng.i64(570..=600),
            trigger_life: Duration::from_millis(rng.u64(2_800..=3_000)),
            token_chars: rng.usize(24..=48),
            refresh_grace_s: rng.i64(60..=120),
        }
    }
}
