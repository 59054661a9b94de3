//! What a handler gets: what Slack sent, and the ways to answer.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tautline_server::core::{InstallationId, MessageId, RequestId, TenantId};
use tautline_server::dispatch::{HandlerAnswer, HandlerCall};
use tautline_server::slack::message::PostMessage;
use tautline_server::slack::payload::Event;
use tautline_server::slack::request::Kind;
use tautline_server::{SlackCallError, SlackCalls};

/// A message for [`Context::say`]: words alone, or whatever else `chat.postMessage` takes. Without a channel it goes to
/// where the request came from.
pub type Message = PostMessage;

/// One request, for one tenant, and the ways to answer it. Its payload's fields are its own: `ctx.user_id`, `ctx.text`.
#[derive(Clone)]
pub struct Context<P> {
    typed: P,
    asked: Arc<Asked>,
}

/// What all clones of a context share.
pub(super) struct Asked {
    call: HandlerCall,
    payload: Value,
    said: Mutex<Said>,
    posted: AtomicU32,
}

#[derive(Default)]
struct Said {
    answer: Option<HandlerAnswer>,
    is_heard: bool,
}

impl Asked {
    pub(super) fn new(call: HandlerCall) -> Self {
        let payload = call.payload().unwrap_or_default();
        Self { call, payload, said: Mutex::default(), posted: AtomicU32::new(0) }
    }

    /// The words for Slack, so far.
    pub(super) fn said(&self) -> Option<HandlerAnswer> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).answer.clone()
    }

    fn text(&self, paths: &[&str]) -> Option<String> {
        let text = |path: &&str| self.payload.pointer(path)?.as_str().filter(|text| !text.is_empty());
        paths.iter().find_map(text).map(str::to_owned)
    }
}

impl<P> Deref for Context<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.typed
    }
}

impl<P: for<'p> From<&'p Value>> Context<P> {
    pub(super) fn new(asked: Arc<Asked>) -> Self {
        Self { typed: P::from(&asked.payload), asked }
    }
}

impl<P> Context<P> {
    /// Whose request it is.
    pub fn tenant(&self) -> &TenantId {
        self.asked.call.request.tenant.as_ref().expect("what matches no tenant is delivered to nobody")
    }

    /// The installation it came through. `None` in the company's own workspace while that has no token.
    pub fn installation(&self) -> Option<InstallationId> {
        self.asked.call.request.installation
    }

    /// Its id, the same in every attempt: by it a handler knows what it has done already.
    pub fn request_id(&self) -> RequestId {
        self.asked.call.request.id
    }

    /// The number of this attempt; the first is 1.
    pub fn attempt(&self) -> u32 {
        self.asked.call.attempt
    }

    /// What Slack said, as JSON: an event's envelope, an interaction's payload, a command's fields.
    pub fn payload(&self) -> &Value {
        &self.asked.payload
    }

    /// The bytes as they came.
    pub fn raw(&self) -> &Bytes {
        &self.asked.call.request.body
    }

    /// Answers Slack now, while the handler goes on: words for a command, a `response_action` for a modal, `options` for
    /// a menu. The first answer counts. True when Slack still waited; if it did not, a command's words go to its
    /// `response_url` once the handler returns.
    pub fn ack_with(&self, answer: impl Into<Value>) -> bool {
        let answer = match answer.into() {
            Value::String(words) => HandlerAnswer::text(words),
            json => HandlerAnswer::json(&json),
        };
        let mut said = self.asked.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_heard {
            return false;
        }
        said.is_heard = self.asked.call.acknowledge(&answer);
        said.answer = Some(answer);
        said.is_heard
    }

    /// Says something to whoever asked: by the `response_url` of a command or an interaction, for them alone unless the
    /// words say otherwise; to an event in its thread, through the outbox.
    pub async fn reply(&self, words: impl Into<Value>) -> Result<(), SlackCallError> {
        let words = match words.into() {
            Value::String(text) => json!({ "text": text }),
            json => json,
        };
        if self.asked.call.request.kind != Kind::Event {
            return self.asked.call.slack.respond(&words).await;
        }
        let Event { ts, thread_ts, .. } = Event::from(&self.asked.payload);
        let mut message: Message = serde_json::from_value(words).map_err(SlackCallError::because)?;
        message.thread_ts = message.thread_ts.or(thread_ts).or(ts);
        self.say(message).await.map(drop)
    }

    /// Posts a message, through the outbox: durable when this returns, at Slack's pace, once. A handler that is tried
    /// again posts its first message, its second … once each, whatever they say by then.
    pub async fn say(&self, message: impl Into<Message>) -> Result<MessageId, SlackCallError> {
        let mut message = message.into();
        if message.channel.is_empty() {
            let places = [
                "/event/channel",
                "/event/channel/id",
                "/event/item/channel",
                "/channel_id",
                "/channel/id",
                "/container/channel_id",
            ];
            message.channel = self.asked.text(&places).ok_or_else(|| {
                SlackCallError::because("this request came from no channel: name one in the message")
            })?;
        }
        let number = self.asked.posted.fetch_add(1, Ordering::Relaxed);
        self.asked.call.slack.post(message, &number.to_string()).await
    }

    /// Opens a modal before whoever asked. Slack allows it once, and within 3 s of when it sent the request.
    pub async fn open_view(&self, view: &Value) -> Result<Value, SlackCallError> {
        let trigger_id = self.asked.text(&["/trigger_id"]).ok_or_else(|| {
            SlackCallError::because("a request of this kind has no trigger_id: nobody can be shown a modal")
        })?;
        self.slack().call("views.open", vec![("trigger_id", trigger_id), ("view", view.to_string())]).await
    }

    /// Any other method of Slack's, now, as the installation. The token stays in the vault.
    pub fn slack(&self) -> &SlackCalls {
        &self.asked.call.slack
    }
}
