//! Late words: what a handler said after Slack had stopped waiting goes to the `response_url`.

use serde_json::{Value, json};
use tautline_core::delivery::{Answer, Leased};

use crate::app::App;
use crate::outbound::respond;

pub(super) async fn send(app: &App, leased: &Leased, answer: &Answer) {
    let request = &leased.request;
    let Some(words) = words(answer) else { return };
    match respond(app, request, &words).await {
        Ok(()) => tracing::info!(request = %request.id, "late words were sent to the response_url"),
        Err(error) => tracing::warn!(request = %request.id, %error, "late words are lost"),
    }
}

/// The words as a `response_url` takes them; nothing if nothing was said.
fn words(answer: &Answer) -> Option<Value> {
    if answer.body.trim_ascii().is_empty() {
        return None;
    }
    match serde_json::from_slice(&answer.body) {
        Ok(message @ Value::Object(_)) => Some(message),
        _ => Some(json!({ "text": String::from_utf8_lossy(&answer.body) })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &'static str) -> Option<Value> {
        words(&Answer { status: 200, content_type: None, body: body.into() })
    }

    #[test]
    fn json_goes_as_it_is_text_as_text_and_nothing_not_at_all() {
        assert_eq!(said(r#"{"response_type":"in_channel"}"#), Some(json!({ "response_type": "in_channel" })));
        assert_eq!(said("done"), Some(json!({ "text": "done" })));
        assert_eq!(said("7"), Some(json!({ "text": "7" })));
        assert_eq!(said(" \n"), None);
    }
}
