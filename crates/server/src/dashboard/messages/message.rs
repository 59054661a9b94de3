//! `/messages/{id}`: one message: what is said, and how it got there.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tautline_core::access::Scope;
use tautline_core::outbox::{Message, MessageState};
use tautline_core::sending::{SendAttempt, SendOutcome};
use tautline_core::{MessageId, Timestamp};
use tautline_slack::message::PostMessage;

use super::state_badge;
use crate::api::v1::messages::view::fix;
use crate::app::App;
use crate::auth::SignedIn;
use crate::dashboard::bits::{AttemptView, Badge, Moment, took};
use crate::dashboard::frame::{Frame, Section};
use crate::dashboard::payload;
use crate::error::{ApiError, ApiPath};
use crate::page::{PageResult, Tone, render};

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    frame: Frame,
    id: MessageId,
    channel: String,
    state: Badge,
    /// Whether a look a moment later may show more.
    moves: bool,
    explained: Option<&'static str>,
    error: Option<String>,
    fix: Option<String>,
    is_possible_duplicate: bool,
    posted: Option<(String, String)>,
    /// When its channel moves again, if that is not at once.
    next: Option<Moment>,
    accepted: Moment,
    expires: Moment,
    text: Option<String>,
    arguments: String,
    attempts: Vec<AttemptView>,
}

pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    who: SignedIn,
    ApiPath(id): ApiPath<String>,
) -> PageResult<Response> {
    let tenant = who.may(Scope::Read)?;
    let unknown = || {
        ApiError::not_found("message_unknown", "There is no such message here.")
            .fix("It may be another tenant's. The list of messages shows yours.")
    };
    let message_id: MessageId = id.parse().map_err(|_| unknown())?;
    let found = app.store.message(tenant, message_id).await?.ok_or_else(unknown)?;
    let frame = Frame::of(&app, &who, Section::Messages).await?;
    Ok(render(StatusCode::OK, &page(frame, found, app.clock.now())))
}

fn page(frame: Frame, message: Message, now: Timestamp) -> MessagePage {
    let arguments = String::from_utf8_lossy(&message.arguments).into_owned();
    let words = serde_json::from_slice::<PostMessage>(&message.arguments).unwrap_or_default();
    MessagePage {
        frame,
        id: message.id,
        state: state_badge(message.state),
        moves: matches!(message.state, MessageState::Queued | MessageState::Sending),
        explained: explained(message.state),
        fix: fix(&message),
        is_possible_duplicate: message.is_possible_duplicate,
        error: message.error,
        posted: message.posted.map(|posted| (posted.channel, posted.ts)),
        channel: message.channel,
        next: message.next_at.filter(|at| *at > now).map(|at| Moment::of(at, now)),
        accepted: Moment::of(message.accepted_at, now),
        expires: Moment::of(message.expires_at, now),
        text: words.text.or(words.markdown_text),
        arguments: payload::json(&arguments).unwrap_or(arguments),
        attempts: message.attempts.into_iter().map(|attempt| view(attempt, now)).collect(),
    }
}

fn explained(state: MessageState) -> Option<&'static str> {
    match state {
        MessageState::Queued => Some("It is on disk, and goes out when its channel's turn comes."),
        MessageState::Uncertain => Some(
            "Slack may have this one: no complete answer came back. It is looked for before it is sent again.",
        ),
        MessageState::Held => {
            Some("Slack may have this one, and nobody could find out. Look in the channel.")
        }
        MessageState::Cancelled => Some("It was taken back before it was sent."),
        MessageState::Expired => Some("It waited too long to be of use, and was not sent."),
        _ => None,
    }
}

fn view(attempt: SendAttempt, now: Timestamp) -> AttemptView {
    let tone = match attempt.outcome {
        SendOutcome::Sent | SendOutcome::Found => Tone::Good,
        SendOutcome::Limited | SendOutcome::LookedUp => Tone::Waiting,
        _ => Tone::Bad,
    };
    AttemptView {
        number: attempt.number,
        started: Moment::of(attempt.started_at, now),
        took: attempt.duration.map(took),
        outcome: Badge::new(attempt.outcome.as_str().replace('_', " "), tone),
        error: attempt.error,
        answer: None,
    }
}
