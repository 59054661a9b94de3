//! How a message is shown.

use serde::Serialize;
use serde_json::Value;
use tautline_core::outbox::{Message, MessageState};
use tautline_core::sending::SendAttempt;
use tautline_core::{InstallationId, MessageId, Timestamp};
use tautline_slack::errors::{self, Class, remedy};
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
    /// `post`, `ephemeral`, `update`, `delete`, `react`, `unreact`, `share`.
    operation: &'static str,
    /// The message of ours that it changes or answers.
    #[schema(value_type = Option<String>)]
    about: Option<MessageId>,
    /// The route by which its channel was found.
    route: Option<String>,
    /// The channel's id once Slack has it; until then as it was asked for. Instead of an e-mail address stands what we know it by,
    /// `@` and sixteen digits: the address itself is in `message`, and not in lists.
    channel: String,
    /// Slack's name for the message within the channel, once it is sent.
    ts: Option<String>,
    /// Slack's own word, or what happened.
    error: Option<String>,
    /// What kind of error of Slack's that is: `limited`, `unsure`, `later`, `renew`, `dead_token`, `consent`, `destination`,
    /// `payload`, `not_ours`, `gone`; null for what is not known, and for our own.
    class: Option<&'static str>,
    /// What to do about it.
    fix: Option<String>,
    /// It may stand in Slack twice: it was sent again although nobody could find out whether Slack had it (or was about to be,
    /// when the gateway stopped).
    possible_duplicate: bool,
    /// Seconds since 1970, as it was asked for.
    post_at: Option<i64>,
    /// RFC 3339; while queued or uncertain: its channel rests until then.
    next_at: Option<String>,
    /// RFC 3339; while it is tried in vain, and its channel waits for it: since when.
    parked_since: Option<String>,
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
    /// What Slack gets: the arguments of its method.
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
    /// `sent`, `found`, `looked_up`, `refused`, `limited`, `not_reached`, `unknown`, `interrupted`.
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
        operation: message.operation.as_str(),
        about: message.about,
        route: message.route.clone(),
        channel,
        ts,
        class: message.error.as_deref().and_then(errors::class).map(Class::as_str),
        fix: fix(message),
        error: message.error.clone(),
        possible_duplicate: message.is_possible_duplicate,
        post_at: message.starts_at.map(Timestamp::as_secs),
        next_at: message.next_at.map(|at| at.to_string()),
        parked_since: message.parked_since.map(|at| at.to_string()),
        accepted_at: message.accepted_at.to_string(),
        expires_at: message.expires_at.to_string(),
    }
}

/// What somebody can do about it.
pub(crate) fn fix(message: &Message) -> Option<String> {
    match (message.state, message.error.as_deref()?) {
        (_, "missing_scope") => {
            let scope = message.operation.scope();
            Some(format!("add {scope} to SLACK_BOT_SCOPES, and have the workspace connected again"))
        }
        (MessageState::Held, _) => {
            Some("look in the channel; then POST …/retry sends it, and DELETE takes it back".to_owned())
        }
        (_, error) => remedy(error).map(str::to_owned),
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
