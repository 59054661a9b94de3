//! `response_url`: five answers within thirty minutes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::app::{Sim, lock};
use crate::journal::Entry;
use crate::time::now_s;
use crate::world::Message;

const USES: u32 = 5;
const LIFE_S: i64 = 30 * 60;

/// Where words may follow an interaction.
pub(crate) struct ResponseUrl {
    team: String,
    channel: String,
    uses: u32,
    expires_at_s: i64,
}

/// Makes one.
pub(crate) fn make(sim: &Sim, team: &str, channel: &str) -> String {
    let id = {
        let rng = &mut sim.state().rng;
        (0..24).map(|_| rng.alphanumeric()).collect::<String>()
    };
    let expires_at_s = now_s() + LIFE_S;
    let made = ResponseUrl { team: team.to_owned(), channel: channel.to_owned(), uses: 0, expires_at_s };
    let mut urls = lock(&sim.response_urls);
    urls.retain(|_, url| url.expires_at_s > now_s());
    urls.insert(id.clone(), made);
    tautline_slack::below(&sim.options.public_url, &format!("response/{id}")).into()
}

pub(crate) async fn respond(State(sim): State<Arc<Sim>>, Path(id): Path<String>, body: Bytes) -> Response {
    let verdict = take(&sim, &id).and_then(|(team, channel)| {
        let message: Value =
            serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, "invalid_payload"))?;
        show(&sim, &team, &channel, &message);
        Ok(())
    });
    let (status, text) = match verdict {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(refusal) => refusal,
    };
    sim.journal().add(Entry {
        what: "response_url".to_owned(),
        event_id: None,
        retry: 0,
        status: Some(status.as_u16()),
        error: None,
        content_type: None,
        answer: String::from_utf8_lossy(&body).into_owned(),
        took_ms: 0,
    });
    (status, text).into_response()
}

fn take(sim: &Sim, id: &str) -> Result<(String, String), (StatusCode, &'static str)> {
    let mut urls = lock(&sim.response_urls);
    let url = urls.get_mut(id).ok_or((StatusCode::NOT_FOUND, "expired_url"))?;
    if url.expires_at_s <= now_s() {
        return Err((StatusCode::NOT_FOUND, "expired_url"));
    }
    if url.uses == USES {
        return Err((StatusCode::NOT_FOUND, "used_url"));
    }
    url.uses += 1;
    Ok((url.team.clone(), url.channel.clone()))
}

/// Puts an answer of the app before the person: in the channel, seen by all only if it says so.
pub(crate) fn show(sim: &Sim, team: &str, channel: &str, said: &Value) {
    let mut state = sim.state();
    let Some(workspace) = state.world.workspace(Some(team)) else { return };
    let Some(bot) = workspace.bot.clone() else { return };
    let Some(channel) = workspace.channel(channel) else { return };
    channel.post(Message {
        ts: String::new(),
        user: bot.user_id,
        bot_id: Some(bot.bot_id),
        text: said["text"].as_str().unwrap_or_default().to_owned(),
        blocks: said["blocks"].clone(),
        thread_ts: None,
        ephemeral: said["response_type"] != "in_channel",
    });
    state.keep();
}
