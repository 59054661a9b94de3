//! The built-in handler of `tautline dev`: repeats what it hears, and shows on request what an app can do.

mod act;
mod form;
mod home;
mod said;
mod showcase;

use async_trait::async_trait;
use serde_json::Value;
use tautline_server::dispatch::{Handler, HandlerAnswer, HandlerCall};
use tautline_server::slack::request::Kind;

/// Repeats mentions and commands; `/demo` shows the rest.
pub(super) struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer {
        let said = call.payload().unwrap_or_default();
        match (call.request.kind, call.request.name.as_str()) {
            (Kind::Event, "app_mention") => said::mentioned(&call, &said).await,
            (Kind::Event, "message") => said::heard(&call, &said).await,
            (Kind::Event, "app_home_opened") => home::opened(&call, &said).await,
            (Kind::Command, command) => said::typed(&call, command, &said).await,
            (Kind::BlockAction, "open_form") | (Kind::Shortcut, _) => form::open(&call, &said).await,
            (Kind::BlockAction, action) => act::used(&call, action, &said).await,
            (Kind::MessageAction, _) => act::noted(&call, &said).await,
            (Kind::ViewSubmission, _) => form::submitted(&call, &said).await,
            (Kind::ViewClosed, _) => form::closed(&call, &said).await,
            (Kind::BlockSuggestion, _) => form::suggested(&said),
            (Kind::InteractiveMessage, _) => act::pressed(&said),
            (Kind::DialogSuggestion, _) => act::dialog_options(&said),
            _ => HandlerAnswer::ok(),
        }
    }
}

/// A text of the payload.
fn text<'v>(said: &'v Value, pointer: &str) -> &'v str {
    said.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Calls Slack; what fails is tried again where the kind allows.
async fn tell(call: &HandlerCall, method: &'static str, form: Vec<(&'static str, String)>) -> HandlerAnswer {
    match call.slack.call(method, form).await {
        Ok(_) => HandlerAnswer::ok(),
        Err(error) => {
            tracing::warn!(%error, method, "the echo could not answer");
            HandlerAnswer::failed()
        }
    }
}
