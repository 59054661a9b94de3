//! `POST /compose`: what stands in the composer is a message, or a command.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Act, Place, command, done, read, say};
use crate::app::Sim;

#[derive(Deserialize)]
struct Composed {
    #[serde(flatten)]
    place: Place,
    #[serde(default)]
    text: String,
    /// One of the suggestions, pressed.
    suggestion: Option<String>,
    thread_ts: Option<String>,
}

pub(crate) async fn compose(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(composed) => done(&headers, perform(&sim, composed).await),
        Err(refusal) => *refusal,
    }
}

async fn perform(sim: &Arc<Sim>, composed: Composed) -> Act {
    let Composed { place, text, suggestion, thread_ts } = composed;
    let text = suggestion.unwrap_or(text).trim().to_owned();
    if text.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "no_text"));
    }
    match text.split_once(char::is_whitespace).unwrap_or((&text, "")) {
        (name, rest) if name.starts_with('/') && name.len() > 1 => {
            if thread_ts.is_some() {
                return Err((StatusCode::BAD_REQUEST, "not_in_thread"));
            }
            let typed = command::Typed { place, command: name.to_owned(), text: rest.trim().to_owned() };
            command::perform(sim, &typed).await
        }
        _ => say::perform(sim, &say::Say { place, text, thread_ts }),
    }
}
