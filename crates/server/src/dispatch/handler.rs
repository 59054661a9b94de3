//! Handlers in this process.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tautline_core::inbox::Request;

use crate::outbound::SlackCalls;

/// A function of this process that takes requests, under the same promises as an HTTP endpoint: at least once,
/// with a stable id, by the kind's own rule.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles a request. An answer below 300 ends the delivery; anything else, and a panic, is a failure.
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer;
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
    pub fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, content_type: Some("application/json"), body: body.to_string().into() }
    }

    /// Not done: to be tried again where the kind allows.
    pub fn failed() -> Self {
        Self { status: 500, ..Self::default() }
    }
}
