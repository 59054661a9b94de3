//! One attempt at doing at Slack what a message says.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tautline_core::looking::Then;
use tautline_core::operation::Operation;
use tautline_core::outbox::{Claimed, MessageState, Posted};
use tautline_core::sending::SendResult;
use tautline_core::{StoreError, Timestamp, limits};
use tautline_slack::errors::{self, Class};
use tautline_slack::history;
use tautline_slack::outgoing::{self, Arguments, Done};
use tautline_slack::{Refusal, web_api};

use super::look_up::look_up;
use super::people;
use crate::app::App;
use crate::egress::CallError;
use crate::error::chain;
use crate::installations::acting::{Acting, ActingError};

/// What ended before it could be looked for, where that was to be done: nobody knows any more than before.
pub(super) fn before_a_look(claimed: &Claimed, result: SendResult, now: Timestamp) -> SendResult {
    match (claimed.doubt, result) {
        (None, result) => result,
        (Some(_), SendResult::Refused(why)) => SendResult::Undecided(why),
        (Some(_), result) => SendResult::LookedUp {
            again_at: now.after(limits::LOOK_UP_AGAIN),
            why: result.error().unwrap_or_default(),
        },
    }
}

/// Does what a message says, unless it turns out that Slack has it already.
pub(super) async fn perform(app: &Arc<App>, claimed: &Claimed, leased_until: Timestamp) -> SendResult {
    let Ok(arguments) = serde_json::from_slice::<Arguments>(&claimed.arguments) else {
        return SendResult::Refused("the stored message cannot be read".to_owned());
    };
    let until = Some(leased_until);
    let acting = Acting { until, ..Acting::bot(app, &claimed.tenant, claimed.installation) };
    let arguments = match addressed(&acting, claimed, arguments).await {
        Ok(arguments) => arguments,
        Err(result) => return before_a_look(claimed, result, app.clock.now()),
    };
    if let Some(doubt) = claimed.doubt {
        match look_up(&acting, claimed, doubt, &arguments).await {
            Then::Sent(posted) => return SendResult::Found(posted),
            Then::Look { at, why } => return SendResult::LookedUp { again_at: at, why },
            Then::Hold(why) => return SendResult::Undecided(why),
            Then::Send { .. } if app.clock.now() >= claimed.expires_at => {
                let why = "it was not there, and had waited too long to be sent again";
                return SendResult::NotReached(why.to_owned());
            }
            Then::Send { is_marked: true } => {
                if let Err(result) = mark(app, claimed).await {
                    return before_a_look(claimed, result, app.clock.now());
                }
            }
            Then::Send { is_marked: false } => {}
        }
    }
    done(&acting, claimed, &arguments).await
}

async fn mark(app: &App, claimed: &Claimed) -> Result<(), SendResult> {
    match app.store.message_mark(claimed).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(SendResult::NotReached("the lease ran out before it was sent again".to_owned())),
        Err(error) => Err(unread(&error)),
    }
}

/// The arguments with where it goes, as that is known now.
async fn addressed(
    acting: &Acting,
    claimed: &Claimed,
    mut arguments: Arguments,
) -> Result<Arguments, SendResult> {
    let channel = match &claimed.about {
        Some((MessageState::Sent, Some(posted))) => {
            let ts = match claimed.operation {
                Operation::React | Operation::Unreact => "timestamp",
                Operation::Update | Operation::Delete => "ts",
                Operation::Post | Operation::Ephemeral | Operation::Share => "thread_ts",
            };
            arguments.insert(ts.to_owned(), posted.ts.clone().into());
            posted.channel.clone()
        }
        Some((state, _)) => {
            let state = state.as_str();
            return Err(SendResult::Refused(format!("the message that it is about is {state}")));
        }
        None => match arguments.get("email").and_then(Value::as_str) {
            Some(email) => people::by_email(acting, email).await?,
            None => arguments.get("channel").and_then(Value::as_str).unwrap_or_default().to_owned(),
        },
    };
    let moved_to = acting.app.store.channel_moved_to(&claimed.tenant, claimed.installation, &channel).await;
    let channel = moved_to.map_err(|error| unread(&error))?.unwrap_or(channel);
    let name = if claimed.operation == Operation::Share { "channel_id" } else { "channel" };
    arguments.insert(name.to_owned(), channel.into());
    if claimed.operation == Operation::Post && !arguments.contains_key("metadata") {
        arguments.insert("metadata".to_owned(), history::mark(&claimed.id.to_string()));
    }
    Ok(arguments)
}

async fn done(acting: &Acting, claimed: &Claimed, arguments: &Arguments) -> SendResult {
    let method = claimed.operation.method();
    match acting.call::<Done>(|token| outgoing::call(method, arguments, token)).await {
        Ok(reply) => sent(claimed, arguments, reply.answer),
        Err(error) => match (not_done(error), claimed.operation) {
            // Gone is what it was to be.
            (SendResult::Refused(error), Operation::Delete) if error == "message_not_found" => {
                SendResult::Sent(None)
            }
            (result, _) => result,
        },
    }
}

/// What it means for a message that a call of its was not made, or has no result.
pub(super) fn not_done(error: ActingError) -> SendResult {
    let failed = match error {
        error @ ActingError::NoToken => return SendResult::Refused(error.to_string()),
        error @ (ActingError::Renewing | ActingError::HeldUp) => {
            return SendResult::NotReached(error.to_string());
        }
        ActingError::TooSoon { at, why } => return SendResult::TooSoon { at, why },
        ActingError::Store(error) => return unread(&error),
        ActingError::Call(failed) => failed,
    };
    match failed {
        CallError::Unreachable(error) => SendResult::NotReached(error),
        CallError::NoAnswer(error) => SendResult::Unknown(error),
        CallError::Refused(refusal) if web_api::may_have_been_done(&refusal) => {
            SendResult::Unknown(refusal.to_string())
        }
        CallError::Refused(Refusal::RateLimited { retry_after_s }) => {
            SendResult::Limited { retry_after: retry_after_s.map(Duration::from_secs) }
        }
        CallError::Refused(Refusal::Error(error)) => match errors::class(&error) {
            Some(Class::Limited) => SendResult::Limited { retry_after: None },
            Some(Class::Later) => SendResult::Postponed(error),
            Some(Class::Done) => SendResult::Sent(None),
            Some(_) => SendResult::Refused(error),
            None => SendResult::Odd(error),
        },
        CallError::Refused(other) => SendResult::Unknown(other.to_string()),
    }
}

fn sent(claimed: &Claimed, arguments: &Arguments, done: Done) -> SendResult {
    let channel = done.channel.or_else(|| Some(arguments.get("channel")?.as_str()?.to_owned()));
    match (claimed.operation, channel, done.ts.or(done.message_ts)) {
        (Operation::Post | Operation::Ephemeral | Operation::Update, Some(channel), Some(ts)) => {
            SendResult::Sent(Some(Posted { channel, ts }))
        }
        (Operation::Post, ..) => SendResult::Unknown("Slack did not say where it put the message".to_owned()),
        _ => SendResult::Sent(None),
    }
}

fn unread(error: &StoreError) -> SendResult {
    tracing::error!(error = %chain(error), "what a message needs cannot be read yet");
    SendResult::NotReached("the gateway could not read its store".to_owned())
}
