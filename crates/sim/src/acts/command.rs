//! `POST /command`: a person types a command, and waits for what it says.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Place, came_back, done, find, read, trigger_id};
use crate::app::Sim;
use crate::response_url;
use crate::sender::{Outgoing, send};

#[derive(Deserialize)]
struct Typed {
    #[serde(flatten)]
    place: Place,
    command: String,
    #[serde(default)]
    text: String,
}

/// `POST /command`: a person types a command, and waits for what it says.
pub(crate) async fn command(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let typed: Typed = match read(&headers, &body) {
        Ok(typed) => typed,
        Err(refusal) => return *refusal,
    };
    let found = match find(&sim, &typed.place) {
        Ok(found) => found,
        Err(refusal) => return done(&headers, Err(refusal)),
    };
    let response_url = response_url::make(&sim, &found.team, &found.channel);
    let trigger_id = trigger_id(&sim);
    let fields = [
        ("token", "deprecated"),
        ("team_id", &found.team),
        ("team_domain", &found.domain),
        ("channel_id", &found.channel),
        ("channel_name", &found.channel_name),
        ("user_id", &found.person.id),
        ("user_name", &found.person.name),
        ("command", &typed.command),
        ("text", &typed.text),
        ("api_app_id", &found.app_id),
        ("is_enterprise_install", "false"),
        ("response_url", &response_url),
        ("trigger_id", &trigger_id),
    ];
    // What is typed is not retried: the person sees what became of it.
    let answer = send(&sim, &Outgoing::form("command", &fields), None).await;
    if let Ok(answer) = &answer
        && answer.status == 200
        && !answer.body.is_empty()
    {
        let said = serde_json::from_slice(&answer.body).ok().filter(Value::is_object);
        let text = || json!({ "text": String::from_utf8_lossy(&answer.body) });
        response_url::show(&sim, &found.team, &found.channel, &said.unwrap_or_else(text));
    }
    done(&headers, Ok(came_back(&answer)))
}
