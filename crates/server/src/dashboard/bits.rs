//! The small parts that pages have in common. In a template: `{{ part|safe }}`.

use std::time::Duration;

use askama::Template;
use tautline_core::Timestamp;

use crate::page::Tone;

/// A time, as people say it; exactly, for who looks closer.
#[derive(Template)]
#[template(ext = "html", source = r#"<time datetime="{{ iso }}" title="{{ exact }}">{{ ago }}</time>"#)]
pub(super) struct Moment {
    iso: String,
    exact: String,
    ago: String,
}

impl Moment {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        let iso = at.to_string();
        // 2026-01-31T12:00:00.000000Z, to the second.
        let exact = format!("{} UTC", iso.get(..19).unwrap_or(&iso).replace('T', " "));
        let ago = if at > now { format!("in {}", long(at.since(now))) } else { ago(now.since(at), &exact) };
        Self { iso, exact, ago }
    }
}

fn ago(age: Duration, exact: &str) -> String {
    match age.as_secs() {
        0..=4 => "just now".to_owned(),
        5..=86_399 => format!("{} ago", long(age)),
        _ => exact.to_owned(),
    }
}

fn long(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=59 => format!("{seconds} s"),
        seconds @ 60..=3_599 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// How something stands, in a word and a colour.
#[derive(Template)]
#[template(ext = "html", source = r#"<span class="badge {{ tone.class() }}">{{ text }}</span>"#)]
pub(super) struct Badge {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Badge {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

/// One attempt, at an endpoint or at Slack.
#[derive(Template)]
#[template(path = "attempt.html")]
pub(super) struct AttemptView {
    pub(super) number: u32,
    pub(super) started: Moment,
    pub(super) took: Option<String>,
    pub(super) outcome: Badge,
    pub(super) error: Option<String>,
    /// What was said.
    pub(super) answer: Option<String>,
}

/// How long something took.
pub(super) fn took(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..=9_999 => format!("{millis} ms"),
        millis => format!("{} s", millis / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_as_people_say_it() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let said = |seconds: u64| Moment::of(now.before(Duration::from_secs(seconds)), now).ago;
        assert_eq!(said(1), "just now");
        assert_eq!(said(59), "59 s ago");
        assert_eq!(said(3_599), "59 min ago");
        assert_eq!(said(7_300), "2 h ago");
        assert_eq!(said(200_000), "2027-01-13 00:26:40 UTC");
        assert_eq!(Moment::of(now.after(Duration::from_secs(90)), now).ago, "in 1 min");
    }

    #[test]
    fn nothing_in_a_part_is_markup() {
        let badge = Badge::new("<script>", Tone::Bad).render().unwrap();
        assert_eq!(badge, r#"<span class="badge bad">&#60;script&#62;</span>"#);
    }
}
