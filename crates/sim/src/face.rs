//! The small face: what was said, what was sent, and a way to say something.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::app::Sim;
use crate::journal::Entry;

/// Messages and log entries shown.
const SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    gateway: String,
    bot_name: String,
    team: String,
    workspace: String,
    /// The other workspaces: id and name.
    others: Vec<(String, String)>,
    connected: bool,
    people: Vec<String>,
    channels: Vec<Channel>,
    log: Vec<Entry>,
}

struct Channel {
    name: String,
    messages: Vec<Line>,
}

struct Line {
    who: String,
    text: String,
    ephemeral: bool,
}

/// `GET /`, and `GET /?team=…` for another workspace.
pub(crate) async fn index(
    State(sim): State<Arc<Sim>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut log = sim.journal().entries();
    log.reverse();
    log.truncate(SHOWN);
    let registration = &sim.options.registration;
    let mut state = sim.state();
    let all = state.world.workspaces.iter().map(|w| (w.id.clone(), w.name.clone())).collect::<Vec<_>>();
    let Some(workspace) = state.world.workspace(query.get("team").map(String::as_str)) else {
        return (StatusCode::NOT_FOUND, "there is no such workspace").into_response();
    };
    let names: HashMap<&str, &str> =
        workspace.people.iter().map(|person| (person.id.as_str(), person.real_name.as_str())).collect();
    let bot_user = workspace.bot.as_ref().map(|bot| format!("<@{}>", bot.user_id)).unwrap_or_default();
    let readable = |text: &str| match bot_user.as_str() {
        "" => text.to_owned(),
        mention => text.replace(mention, &format!("@{}", registration.bot_name)),
    };
    let channel = |channel: &crate::world::Channel| Channel {
        name: channel.name.clone(),
        messages: channel
            .messages
            .iter()
            .rev()
            .take(SHOWN)
            .rev()
            .map(|message| Line {
                who: names.get(message.user.as_str()).copied().unwrap_or(&registration.bot_name).to_owned(),
                text: readable(&message.text),
                ephemeral: message.ephemeral,
            })
            .collect(),
    };
    let page = Index {
        gateway: registration.request_url.origin().ascii_serialization(),
        bot_name: registration.bot_name.clone(),
        others: all.into_iter().filter(|(id, _)| *id != workspace.id).collect(),
        team: workspace.id.clone(),
        workspace: workspace.name.clone(),
        connected: workspace.bot.is_some(),
        people: workspace.people.iter().map(|person| person.name.clone()).collect(),
        channels: workspace.channels.iter().map(channel).collect(),
        log,
    };
    Html(page.render().expect("plain values")).into_response()
}

/// `GET /messages?channel=general`: what was said there, oldest first.
pub(crate) async fn messages(
    State(sim): State<Arc<Sim>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut state = sim.state();
    let workspace = state.world.workspace(query.get("team").map(String::as_str));
    let channel = query.get("channel").map_or("general", String::as_str);
    match workspace.and_then(|workspace| workspace.channel(channel)) {
        Some(channel) => Json(json!({ "channel": channel.id, "messages": channel.messages })).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "ok": false, "error": "channel_not_found" })))
            .into_response(),
    }
}

/// `GET /log`: what Slack sent and what came back, oldest first.
pub(crate) async fn log(State(sim): State<Arc<Sim>>) -> Response {
    Json(json!({ "log": sim.journal().entries() })).into_response()
}
