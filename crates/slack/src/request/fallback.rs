//! What Slack is told in place of a handler's answer.

use serde_json::{Value, json};

use super::{Kind, payload, text};
use http::HeaderValue;

/// Why the handler's own answer is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// The handler may still be running, or will be asked again: its words can follow.
    Pending,
    /// The handler reported an error, and will not be asked again by itself.
    Failed,
    /// The handler broke off: it may have run.
    Unsure,
    /// The handler was not reached, and will not be asked again by itself.
    NotReached,
    /// Nobody is there to answer: the workspace belongs to no tenant.
    NotConnected,
    /// Nobody is registered for this.
    Unknown,
}

/// An ephemeral sentence as the answer to a command.
fn sentence(text: &str) -> Value {
    json!({ "response_type": "ephemeral", "text": text })
}

/// The fallback of a command.
fn command_fallback(command: &str, shortfall: Shortfall) -> Value {
    sentence(&match shortfall {
        Shortfall::Unknown => return json!({ "text": format!("Unknown command: {command}") }),
        Shortfall::Pending => "Still working on it …".to_owned(),
        Shortfall::Failed => {
            format!("`{command}` did not work: the app that answers it reported an error. Please try again.")
        }
        Shortfall::Unsure => {
            format!(
                "`{command}` may not have worked: the app that answers it broke off. Please check before you try again."
            )
        }
        Shortfall::NotReached => {
            format!(
                "`{command}` did not work: the app that answers it cannot be reached. Please try again later."
            )
        }
        Shortfall::NotConnected => NOT_CONNECTED.to_owned(),
    })
}

/// The fallback body for a request of a kind that Slack waits for; `None` is an empty 200.
///
/// `body` is the request's: a modal's fallback names its first input, or repeats the view itself.
pub fn fallback(
    kind: Kind,
    name: &str,
    content_type: Option<&HeaderValue>,
    body: &[u8],
    shortfall: Shortfall,
) -> Option<Value> {
    match kind {
        Kind::Command => Some(command_fallback(name, shortfall)),
        Kind::ViewSubmission => Some(submission_fallback(&payload(content_type, body)?, shortfall)),
        Kind::BlockSuggestion | Kind::DialogSuggestion => Some(json!({ "options": [] })),
        Kind::DialogSubmission => dialog_fallback(&payload(content_type, body)?, shortfall),
        _ => None,
    }
}

const NOT_CONNECTED: &str = "This workspace is not connected yet. Please ask your admin to connect it.";

/// Unless the handler surely did not run, a modal's note warns of submitting twice.
fn note(shortfall: Shortfall) -> &'static str {
    match shortfall {
        Shortfall::Unknown => "Nothing here knows this form. Please tell your admin.",
        Shortfall::Pending => {
            "No answer in time. Your first try may still go through: check before you submit again."
        }
        Shortfall::Failed | Shortfall::Unsure => {
            "The app reported an error. Your first try may still have gone through: check before you submit again."
        }
        Shortfall::NotReached => {
            "The app cannot be reached, so nothing was saved. Please submit again later."
        }
        Shortfall::NotConnected => NOT_CONNECTED,
    }
}

/// Keeps the modal open: an empty 200 would close it and lose what the person typed.
fn submission_fallback(payload: &Value, shortfall: Shortfall) -> Value {
    let blocks = payload.pointer("/view/blocks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let input = blocks.iter().find(|block| text(block, "/type") == Some("input"));
    if let Some(block_id) = input.and_then(|block| text(block, "/block_id")) {
        return json!({ "response_action": "errors", "errors": { block_id: note(shortfall) } });
    }
    // An error needs an input to stand beside. Without one, the same view comes back with a note on top.
    const ACCEPTED: [&str; 9] = [
        "type",
        "title",
        "close",
        "submit",
        "private_metadata",
        "callback_id",
        "clear_on_close",
        "notify_on_close",
        "external_id",
    ];
    let mut view = serde_json::Map::new();
    for field in ACCEPTED {
        match payload.pointer("/view").and_then(|view| view.get(field)) {
            None | Some(Value::Null) => {}
            Some(value) => drop(view.insert(field.to_owned(), value.clone())),
        }
    }
    let notice = json!({ "type": "section", "text": { "type": "mrkdwn", "text": format!(":warning: {}", note(shortfall)) } });
    // A modal holds at most 100 blocks.
    let kept = std::iter::once(notice).chain(blocks.iter().take(99).cloned()).collect::<Vec<_>>();
    view.insert("blocks".to_owned(), Value::Array(kept));
    json!({ "response_action": "update", "view": view })
}

fn dialog_fallback(payload: &Value, shortfall: Shortfall) -> Option<Value> {
    let first = payload.pointer("/submission")?.as_object()?.keys().next()?;
    Some(json!({ "errors": [{ "name": first, "error": note(shortfall) }] }))
}
