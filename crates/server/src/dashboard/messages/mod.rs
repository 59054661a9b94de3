//! *Messages*: what the product says to Slack.

pub(super) mod list;
pub(super) mod message;

use tautline_core::outbox::MessageState;

use super::bits::Badge;
use crate::page::Tone;

/// How a message stands.
fn state_badge(state: MessageState) -> Badge {
    let tone = match state {
        MessageState::Sent => Tone::Good,
        MessageState::Queued | MessageState::Sending | MessageState::Held => Tone::Waiting,
        MessageState::Failed | MessageState::Uncertain | MessageState::Expired => Tone::Bad,
        MessageState::Cancelled => Tone::Plain,
    };
    Badge::new(state.as_str(), tone)
}
