//! The kinds table: what Slack waits for, what is tried again, and for how long. Data, one row each.

use std::time::Duration;

use tautline_slack::request::Kind;

use crate::{Timestamp, limits};

/// How requests of a kind are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether Slack waits for the handler's words.
    pub held: bool,
    /// When a failed delivery is tried again.
    pub redelivered: Redelivered,
    /// How long it makes sense to deliver.
    pub life: Duration,
}

/// When a failed delivery is tried again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivered {
    /// On any failure, by the whole schedule: the handler is expected to know an id twice.
    OnAnyFailure,
    /// Only when the handler surely did not run: running a command twice is worse than not running it.
    IfItDidNotRun,
    /// Never: the person was shown an error, and asks again.
    Never,
}

impl Policy {
    /// The row of the table.
    pub const fn of(kind: Kind) -> Self {
        use Redelivered::{IfItDidNotRun, Never, OnAnyFailure};
        let (held, redelivered, life) = match kind {
            Kind::Event | Kind::ViewClosed | Kind::Installation | Kind::Endpoint => {
                (false, OnAnyFailure, limits::EVENT_LIFE)
            }
            Kind::BlockAction | Kind::Shortcut | Kind::MessageAction | Kind::DialogCancellation => {
                (false, OnAnyFailure, limits::INTERACTION_LIFE)
            }
            // A legacy button's answer may be the message's new text, and of a type we do not know Slack may
            // want an answer: the handler's words are passed on, but nothing is run twice.
            Kind::Command | Kind::InteractiveMessage | Kind::Interaction => {
                (true, IfItDidNotRun, limits::INTERACTION_LIFE)
            }
            Kind::ViewSubmission
            | Kind::BlockSuggestion
            | Kind::DialogSubmission
            | Kind::DialogSuggestion => (true, Never, limits::HOLD),
        };
        Self { held, redelivered, life }
    }

    /// Until when a request that is replayed by hand then is worth delivering. Whoever replays one has waited long
    /// enough: it gets the time of a command at least.
    pub fn worth_until(&self, replayed_at: Timestamp) -> Timestamp {
        replayed_at.after(self.life.max(limits::INTERACTION_LIFE))
    }

    /// When a request received at that time is no longer worth delivering.
    pub fn expires_at(&self, received_at: Timestamp) -> Timestamp {
        received_at.after(self.life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_documented_one() {
        let row = |kind| {
            let Policy { held, redelivered, life } = Policy::of(kind);
            (held, redelivered, life.as_secs())
        };
        use Redelivered::{IfItDidNotRun, Never, OnAnyFailure};
        assert_eq!(row(Kind::Event), (false, OnAnyFailure, 3 * 86_400));
        assert_eq!(row(Kind::ViewClosed), (false, OnAnyFailure, 3 * 86_400));
        assert_eq!(row(Kind::BlockAction), (false, OnAnyFailure, 1_800));
        assert_eq!(row(Kind::Shortcut), (false, OnAnyFailure, 1_800));
        assert_eq!(row(Kind::MessageAction), (false, OnAnyFailure, 1_800));
        assert_eq!(row(Kind::Command), (true, IfItDidNotRun, 1_800));
        assert_eq!(row(Kind::ViewSubmission), (true, Never, 2));
        assert_eq!(row(Kind::BlockSuggestion), (true, Never, 2));
    }
}
