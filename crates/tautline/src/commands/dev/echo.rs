//! The built-in handler of `tautline dev`: repeats what it hears.

use async_trait::async_trait;
use serde_json::{Value, json};
use tautline_server::dispatch::{Handler, HandlerAnswer, HandlerCall};
use tautline_server::slack::request::Kind;

/// Repeats mentions and commands.
pub(super) struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer {
        let request = &call.request;
        match (request.kind, request.name.as_str()) {
            (Kind::Command, command) => HandlerAnswer::json(
                &json!({ "response_type": "ephemeral", "text": format!("You typed {command}") }),
            ),
            (Kind::Event, "app_mention") => mentioned(&call).await,
            _ => HandlerAnswer::ok(),
        }
    }
}

async fn mentioned(call: &HandlerCall) -> HandlerAnswer {
    let Ok(envelope) = serde_json::from_slice::<Value>(&call.request.body) else {
        return HandlerAnswer::ok();
    };
    let event = &envelope["event"];
    let (Some(channel), Some(text)) = (event["channel"].as_str(), event["text"].as_str()) else {
        return HandlerAnswer::ok();
    };
    // Without the mention itself, or the bot would be mentioned again by its own words.
    let said = text.split('>').next_back().unwrap_or(text).trim();
    let form = vec![("channel", channel.to_owned()), ("text", format!("You said: {said}"))];
    match call.slack.call("chat.postMessage", form).await {
        Ok(_) => HandlerAnswer::ok(),
        Err(error) => {
            tracing::warn!(%error, "the echo could not answer");
            HandlerAnswer::failed()
        }
    }
}
