//! `response_url`: five answers within thirty minutes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{Sim, lock};
use crate::journal::Entry;
use crate::limits;
use crate::time::now_s;
use crate::world::Message;

/// To what words are an answer.
#[derive(Clone)]
pub(crate) struct Origin {
    team: String,
    channel: String,
    user: String,
    /// The message that was used, if it was one.
    ts: Option<String>,
}

impl Origin {
    pub(crate) fn of(team: &str, channel: &str, user: &str) -> Self {
        Self { team: team.to_owned(), channel: channel.to_owned(), user: user.to_owned(), ts: None }
    }

    pub(crate) fn about(self, ts: &str) -> Self {
        Self { ts: Some(ts.to_owned()), ..self }
    }
}

/// Where words may follow an interaction.
pub(crate) struct ResponseUrl {
    origin: Origin,
    uses: u32,
    expires_at_s: i64,
}

/// Makes one.
pub(crate) fn make(sim: &Sim, origin: Origin) -> String {
    let id = {
        let rng = &mut sim.state().rng;
        (0..24).map(|_| rng.alphanumeric()).collect::<String>()
    };
    let made = ResponseUrl { origin, uses: 0, expires_at_s: now_s() + limits::RESPONSE_LIFE_S };
    let mut urls = lock(&sim.response_urls);
    urls.retain(|_, url| url.expires_at_s > now_s());
    urls.insert(id.clone(), made);
    tautline_slack::below(&sim.options.public_url, &format!("response/{id}")).into()
}

pub(crate) async fn respond(State(sim): State<Arc<Sim>>, Path(id): Path<String>, body: Bytes) -> Response {
    let verdict = take(&sim, &id).and_then(|origin| {
        let message: Value =
            serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, "invalid_payload"))?;
        show(&sim, &origin, &message);
        Ok(())
    });
    let (status, text) = match verdict {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(refusal) => refusal,
    };
    sim.journal().add(Entry {
        what: "response_url".to_owned(),
        status: Some(status.as_u16()),
        sent: String::from_utf8_lossy(&body).into_owned(),
        answer: text.to_owned(),
        ..Entry::default()
    });
    (status, text).into_response()
}

fn take(sim: &Sim, id: &str) -> Result<Origin, (StatusCode, &'static str)> {
    let mut urls = lock(&sim.response_urls);
    let url = urls.get_mut(id).ok_or((StatusCode::NOT_FOUND, "expired_url"))?;
    if url.expires_at_s <= now_s() {
        return Err((StatusCode::NOT_FOUND, "expired_url"));
    }
    if url.uses == limits::RESPONSE_USES {
        return Err((StatusCode::NOT_FOUND, "used_url"));
    }
    url.uses += 1;
    Ok(url.origin.clone())
}

/// Slackbot's own words to a person.
pub(crate) fn tell(sim: &Sim, origin: &Origin, text: &str) {
    show(sim, origin, &json!({ "text": text }));
}

/// Puts an answer of the app before the person: in the channel, seen by all only if it says so; in place of the
/// message that was used, if it says that.
pub(crate) fn show(sim: &Sim, origin: &Origin, said: &Value) {
    // Slack's own examples have the text "true".
    let says = |field: &str| said[field] == true || said[field] == "true";
    let mut state = sim.state();
    let Some(workspace) = state.world.workspace(Some(&origin.team)) else { return };
    let bot = workspace.bot.clone();
    let Some(channel) = workspace.channel(&origin.channel) else { return };
    let original = origin.ts.as_ref();
    if says("delete_original") {
        channel.messages.retain(|message| Some(&message.ts) != original);
    } else {
        let is_public = said["response_type"] == "in_channel";
        let message = Message {
            user: bot.as_ref().map_or("USLACKBOT".to_owned(), |bot| bot.user_id.clone()),
            bot_id: bot.map(|bot| bot.bot_id),
            text: said["text"].as_str().unwrap_or_default().to_owned(),
            blocks: said["blocks"].clone(),
            attachments: said["attachments"].clone(),
            thread_ts: said["thread_ts"].as_str().map(str::to_owned),
            ephemeral: !is_public,
            visible_to: (!is_public).then(|| origin.user.clone()),
            ..Message::default()
        };
        match original.filter(|_| says("replace_original")) {
            Some(ts) => channel.replace(ts, message),
            None => drop(channel.post(message)),
        }
    }
    state.keep();
}
