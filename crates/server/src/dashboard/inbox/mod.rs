//! *Inbox*: what Slack sent, and what became of it.

pub(super) mod list;
pub(super) mod request;

use tautline_core::delivery::{DeadReason, Delivery, DeliveryState};
use tautline_core::inbox::AnswerState;
use tautline_slack::request::Kind;

use super::bits::Badge;
use crate::page::Tone;

/// A kind, as people say it.
fn kind_name(kind: Kind) -> String {
    kind.as_str().replace('_', " ")
}

/// How a delivery stands.
fn delivery_badge(delivery: &Delivery) -> Badge {
    let attempts = delivery.attempts.len();
    match delivery.state {
        DeliveryState::Delivered => Badge::new("delivered", Tone::Good),
        DeliveryState::Leased => Badge::new("on its way", Tone::Waiting),
        DeliveryState::Ready if attempts == 0 => Badge::new("waiting", Tone::Waiting),
        DeliveryState::Ready => {
            Badge::new(format!("failed {attempts} ×, will be tried again"), Tone::Waiting)
        }
        DeliveryState::Dead => Badge::new(
            match delivery.dead {
                Some(DeadReason::Exhausted) => "given up: every attempt failed",
                Some(DeadReason::Expired) => "given up: too old to be of use",
                Some(DeadReason::Removed) => "given up: its endpoint was removed",
                Some(DeadReason::Erased) => "given up: what it would have brought was erased",
                Some(DeadReason::NotRepeatable) => "failed: may have run, so not repeated",
                None => "given up",
            },
            Tone::Bad,
        ),
    }
}

/// What Slack was told, when that is worth a word in a list.
fn answer_badge(answer: AnswerState) -> Option<Badge> {
    match answer {
        AnswerState::NotHeld => None,
        AnswerState::Answered => Some(Badge::new("answered", Tone::Good)),
        AnswerState::Waiting => Some(Badge::new("Slack waits", Tone::Waiting)),
        AnswerState::Fallback => Some(Badge::new("fallback sent", Tone::Waiting)),
        AnswerState::Unanswered => Some(Badge::new("unanswered", Tone::Bad)),
    }
}
