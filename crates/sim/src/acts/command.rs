//! `POST /command`: a person types a command, and waits for what it says.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Act, Place, came_back, done, find, read, trigger_id};
use crate::app::Sim;
use crate::response_url::{self, Origin};
use crate::sender::{Outgoing, send};

#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) command: String,
    #[serde(default)]
    pub(super) text: String,
}

/// `POST /command`: a person types a command, and waits for what it says.
pub(crate) async fn command(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(typed) => done(&headers, perform(&sim, &typed).await),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn perform(sim: &Sim, typed: &Typed) -> Act {
    let found = find(sim, &typed.place)?;
    let origin = Origin::of(&found.team, &found.channel, &found.person.id);
    if found.bot.is_none() {
        response_url::tell(sim, &origin, "This command does nothing here: the app is not in this workspace.");
        return Ok(json!({ "error": "app_not_installed" }));
    }
    let response_url = response_url::make(sim, origin.clone());
    let trigger_id = trigger_id(sim, &found);
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
    let answer = send(sim, &Outgoing::form("command", &fields), None).await;
    match &answer {
        Ok(answer) if answer.status == 200 && answer.body.is_empty() => {}
        Ok(answer) if answer.status == 200 => {
            let said = serde_json::from_slice(&answer.body).ok().filter(Value::is_object);
            let text = || json!({ "text": String::from_utf8_lossy(&answer.body) });
            response_url::show(sim, &origin, &said.unwrap_or_else(text));
        }
        Ok(_) => response_url::tell(
            sim,
            &origin,
            &format!("{} failed with the error \"dispatch_failed\"", typed.command),
        ),
        Err(_) => response_url::tell(
            sim,
            &origin,
            &format!("{} failed with the error \"operation_timeout\"", typed.command),
        ),
    }
    Ok(came_back(&answer))
}
