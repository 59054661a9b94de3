//! What a handler of this process says to Slack, as the installation that its request came through. The token is taken
//! from the vault for the call, and is never seen by the caller.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tautline_core::MessageId;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::inbox::Request;
use tautline_slack::WebApiCall;
use tautline_slack::message::PostMessage;
use tautline_slack::web_api::Authorization;

use super::accept::{self, Address, Wish};
use super::respond;
use crate::app::App;
use crate::installations::acting::Acting;

/// Speaks to Slack for one request.
pub struct SlackCalls {
    app: Arc<App>,
    request: Arc<Request>,
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SlackCallError(String);

impl SlackCallError {
    /// An error for this reason.
    pub fn because(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

const NO_TOKEN: &str = "there is no token for this workspace: connect it, or set SLACK_BOT_TOKEN";

impl SlackCalls {
    pub(crate) fn new(app: Arc<App>, request: Arc<Request>) -> Self {
        Self { app, request }
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Calls a method, now; structured arguments are JSON text, as in Slack's forms.
    pub async fn call(
        &self,
        method: &'static str,
        form: Vec<(&'static str, String)>,
    ) -> Result<Value, SlackCallError> {
        let (Some(tenant), Some(installation)) = (&self.request.tenant, self.request.installation) else {
            return Err(SlackCallError(NO_TOKEN.to_owned()));
        };
        let acting = Acting::bot(&self.app, tenant, installation);
        let reply = acting.call(|token| WebApiCall {
            method,
            authorization: Authorization::Bearer(token),
            form: form.clone(),
        });
        reply.await.map(|reply| reply.answer).map_err(|error| SlackCallError(crate::error::chain(&error)))
    }

    /// Puts a message into the outbox: durable, paced, sent once. `which` names it among those of this request, the
    /// same in every attempt, so that a handler which is tried again posts nothing twice.
    pub async fn post(&self, message: PostMessage, which: &str) -> Result<MessageId, SlackCallError> {
        let (Some(tenant), Some(installation)) = (&self.request.tenant, self.request.installation) else {
            return Err(SlackCallError(NO_TOKEN.to_owned()));
        };
        let once = IdempotencyKey {
            scope: format!("handler {}", self.request.id),
            key: which.to_owned(),
            // By its place alone: words that differ from attempt to attempt are still the one message.
            request: Sha256::digest(which).into(),
            at: self.app.clock.now(),
        };
        let channel = Address::Channel(message.channel.clone());
        let Ok(Value::Object(mut arguments)) = serde_json::to_value(message) else {
            return Err(SlackCallError("the message is no JSON object".to_owned()));
        };
        arguments.remove("channel");
        // A person did something and waits.
        let wish = Wish { is_urgent: true, ..Wish::post(channel, arguments) };
        let queued = accept::queue(&self.app, tenant, installation, wish, Some(once)).await;
        queued.map_err(|error| SlackCallError(error.text().to_owned()))
    }

    /// Says something to the request's `response_url`, now. Only commands and interactions in messages have one.
    pub async fn respond(&self, words: &Value) -> Result<(), SlackCallError> {
        respond(&self.app, &self.request, words).await.map_err(|error| SlackCallError(error.to_string()))
    }
}
