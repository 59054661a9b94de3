//! Files in three steps: `files.getUploadURLExternal`, the bytes, `files.completeUploadExternal`. And their download.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{Acting, Args, Outcome, chat, hash, refuse};
use crate::app::Sim;
use crate::state::State;
use crate::world::{File, Message, id};

pub(super) fn get_upload_url(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let (Some(name), Some(length)) =
        (args.text("filename"), args.number("length").filter(|length| *length > 0))
    else {
        return refuse("invalid_arguments");
    };
    let id = id(&mut state.rng, 'F');
    let file = File { id: id.clone(), team: acting.team.clone(), name: name.to_owned(), length, bytes: None };
    state.files.push(file);
    Ok(json!({ "file_id": id, "upload_url": format!("{}upload/{id}", state.base) }))
}

/// The bytes come without a token: the address is the secret.
pub(crate) async fn upload(Shared(sim): Shared<Arc<Sim>>, Path(id): Path<String>, bytes: Bytes) -> Response {
    let mut state = sim.state();
    match state.files.iter_mut().find(|file| file.id == id && file.bytes.is_none()) {
        Some(file) if file.length == bytes.len() => {
            file.bytes = Some(bytes.to_vec());
            format!("OK - {}", bytes.len()).into_response()
        }
        Some(_) => (StatusCode::BAD_REQUEST, "the length differs").into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) fn complete(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let files = args.structured("files", "invalid_arguments")?;
    let wanted = files.as_array().cloned().unwrap_or_default();
    let is_up = |wanted: &Value| {
        state
            .files
            .iter()
            .any(|file| wanted["id"] == file.id.as_str() && file.team == acting.team && file.bytes.is_some())
    };
    if wanted.is_empty() || !wanted.iter().all(is_up) {
        return refuse("file_not_found");
    }
    let base = state.base.clone();
    let shown = |wanted: &Value| {
        let id = wanted["id"].as_str().unwrap_or_default();
        let name = state.files.iter().find(|file| file.id == id).map(|file| file.name.clone());
        json!({ "id": id, "name": name, "title": wanted["title"], "url_private": format!("{base}files-pri/{id}") })
    };
    let shown = wanted.iter().map(shown).collect::<Vec<_>>();
    if let Some(channel) = args.text("channel_id") {
        let text = args.text("initial_comment").unwrap_or_default().to_owned();
        let thread_ts = args.text("thread_ts").map(str::to_owned);
        let channel = Args::of("channel", channel);
        let (bot, channel) = chat::place(state, acting, &channel)?;
        channel.post(Message {
            user: bot.user_id,
            bot_id: Some(bot.bot_id),
            text,
            thread_ts,
            files: shown.clone(),
            ..Message::default()
        });
        state.keep();
    }
    Ok(json!({ "files": shown }))
}

/// With the token of its workspace; without, Slack shows a page to sign in at.
pub(crate) async fn download(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
    let state = sim.state();
    let hash = bearer.map(hash);
    let team =
        state.world.tokens.iter().find(|grant| Some(&grant.hash) == hash.as_ref()).map(|grant| &grant.team);
    let file = state.files.iter().find(|file| file.id == id && Some(&file.team) == team);
    match file.and_then(|file| file.bytes.clone()) {
        Some(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        None => ([(header::CONTENT_TYPE, "text/html")], "<html>Sign in</html>").into_response(),
    }
}
