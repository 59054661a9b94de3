//! Handlers in this process.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;
use tautline_core::delivery::Answer;
use tautline_core::endpoint::Filter;
use tautline_core::inbox::Request;
use tautline_slack::request::payload;

use super::{Held, Verdict};
use crate::outbound::SlackCalls;

/// A function of this process that takes requests, under the same promises as an HTTP endpoint: at least once,
/// with a stable id, by the kind's own rule.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles a request. An answer below 300 ends the delivery; anything else, and a panic, is a failure.
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer;
}

/// A handler, and what it wants.
#[derive(Clone)]
pub struct Registered {
    /// Its name, unique, and the same from run to run: what waits for it is found again by it.
    pub name: String,
    /// What it gets; any one of them.
    pub filters: Vec<Filter>,
    /// The function.
    pub handler: Arc<dyn Handler>,
}

impl Registered {
    /// A handler that gets everything.
    pub fn for_everything(name: impl Into<String>, handler: Arc<dyn Handler>) -> Self {
        Self { name: name.into(), filters: vec![Filter::everything()], handler }
    }
}

/// One call of a handler.
pub struct HandlerCall {
    /// What Slack sent.
    pub request: Arc<Request>,
    /// Whether this handler's words are the answer to Slack.
    pub answers: bool,
    /// The number of this attempt; the first is 1.
    pub attempt: u32,
    /// Calls to Slack, as the installation the request came through.
    pub slack: SlackCalls,
    /// Where Slack waits, if it does.
    pub(crate) ear: Ear,
}

impl HandlerCall {
    /// What Slack said, as JSON: an event's envelope, an interaction's payload, a command's fields.
    pub fn payload(&self) -> Option<Value> {
        let content_type = self.request.content_type.as_deref();
        let content_type = content_type.and_then(|text| HeaderValue::from_str(text).ok());
        payload(content_type.as_ref(), &self.request.body)
    }

    /// Answers Slack now, while the handler goes on. False when Slack does not wait (any more): then the words can
    /// still be what the handler returns, and go to the `response_url` where there is one.
    pub fn acknowledge(&self, answer: &HandlerAnswer) -> bool {
        self.ear.say(Verdict::Answer(answer.clone().into())).is_ok_and(|heard| heard)
    }
}

/// Where Slack waits for one answer: the first that is said counts.
#[derive(Clone)]
pub(crate) struct Ear(Arc<Mutex<State>>);

enum State {
    Open(Held),
    /// Slack has an answer.
    Answered,
    /// Slack did not wait, or stopped waiting.
    Gone,
}

impl Ear {
    pub(super) fn new(held: Option<Held>) -> Self {
        Self(Arc::new(Mutex::new(held.map_or(State::Gone, State::Open))))
    }

    /// Says something. `Ok(true)`: Slack hears it; `Ok(false)`: it heard something else before. Unheard, it comes
    /// back.
    pub(super) fn say(&self, verdict: Verdict) -> Result<bool, Verdict> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Open(held) => {
                held.send(verdict)?;
                *state = State::Answered;
                Ok(true)
            }
            State::Answered => {
                *state = State::Answered;
                Ok(false)
            }
            State::Gone => Err(verdict),
        }
    }
}

/// What a handler says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlerAnswer {
    /// As an HTTP status.
    pub status: u16,
    /// The body's content type.
    pub content_type: Option<&'static str>,
    /// The body; Slack gets it as it is.
    pub body: Bytes,
}

impl HandlerAnswer {
    /// Done, nothing to say.
    pub fn ok() -> Self {
        Self { status: 200, ..Self::default() }
    }

    /// Done, with an answer in JSON.
    pub fn json(body: &Value) -> Self {
        Self { status: 200, content_type: Some("application/json"), body: body.to_string().into() }
    }

    /// Done, with an answer in plain words.
    pub fn text(words: impl Into<String>) -> Self {
        Self { status: 200, content_type: Some("text/plain; charset=utf-8"), body: words.into().into() }
    }

    /// Not done: to be tried again where the kind allows.
    pub fn failed() -> Self {
        Self { status: 500, ..Self::default() }
    }

    /// Not done, and why: for the record. Slack never sees it.
    pub fn failed_because(why: impl Into<String>) -> Self {
        Self { status: 500, ..Self::text(why) }
    }
}

impl From<HandlerAnswer> for Answer {
    fn from(said: HandlerAnswer) -> Self {
        let content_type = said.content_type.map(str::to_owned);
        Self { status: said.status, content_type, body: said.body }
    }
}
