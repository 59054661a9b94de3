//! How a message is shown.

use serde::Serialize;
use serde_json::Value;
use tautline_core::outbox::Message;
use tautline_core::sending::SendAttempt;
use tautline_core::{InstallationId, MessageId};
use tautline_slack::errors::remedy;
use utoipa::ToSchema;

/// A message without its words.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageBody {
    #[schema(value_type = String, example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: MessageId,
    /// `queued`, `sending`, `sent`, `failed`, `uncertain`, `held`, `cancelled`, `expired`.
    state: &'static str,
    #[schema(value_type = String)]
    installation: InstallationId,
    /// The channel's id once Slack has it; until then as it was asked for.
    channel: String,
    /// Slack's name for the message within the channel, once it is sent.
    ts: Option<String>,
    /// Slack's own word, or what happened.
    error: Option<String>,
    /// What to do about it.
    fix: Option<&'static str>,
    /// RFC 3339; while queued: its channel rests until then.
    next_at: Option<String>,
    /// RFC 3339.
    accepted_at: String,
    /// RFC 3339. What still waits then is not sent.
    expires_at: String,
}

/// A message with its words and its attempts.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullMessageBody {
    #[serde(flatten)]
    summary: MessageBody,
    /// What Slack gets: the arguments of chat.postMessage.
    #[schema(value_type = Object)]
    message: Value,
    attempts: Vec<SendAttemptBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SendAttemptBody {
    number: u32,
    /// RFC 3339.
    started_at: String,
    /// Milliseconds; null when the process ended before the attempt did.
    duration_ms: Option<u64>,
    /// `sent`, `refused`, `limited`, `not_reached`, `unknown`, `interrupted`.
    outcome: &'static str,
    error: Option<String>,
}

pub(super) fn summary(message: &Message) -> MessageBody {
    let (channel, ts) = match &message.posted {
        Some(posted) => (posted.channel.clone(), Some(posted.ts.clone())),
        None => (message.channel.clone(), None),
    };
    MessageBody {
        id: message.id,
        state: message.state.as_str(),
        installation: message.installation,
        channel,
        ts,
        fix: message.error.as_deref().and_then(remedy),
        error: message.error.clone(),
        next_at: message.next_at.map(|at| at.to_string()),
        accepted_at: message.accepted_at.to_string(),
        expires_at: message.expires_at.to_string(),
    }
}

pub(super) fn full(message: Message) -> FullMessageBody {
    FullMessageBody {
        summary: summary(&message),
        message: serde_json::from_slice(&message.arguments).unwrap_or_default(),
        attempts: message.attempts.into_iter().map(attempt).collect(),
    }
}

fn attempt(attempt: SendAttempt) -> SendAttemptBody {
    SendAttemptBody {
        number: attempt.number,
        started_at: attempt.started_at.to_string(),
        duration_ms: attempt.duration.and_then(|duration| u64::try_from(duration.as_millis()).ok()),
        outcome: attempt.outcome.as_str(),
        error: attempt.error,
    }
}
