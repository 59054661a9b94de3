//! `POST /say`: a person says something.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event::envelope;
use super::{Act, Found, NOT_FOUND, Place, done, find, read};
use crate::app::Sim;
use crate::sender::send_event;
use crate::world::Message;

#[derive(Deserialize)]
pub(super) struct Say {
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) text: String,
    /// The message that this one answers.
    pub(super) thread_ts: Option<String>,
}

/// `POST /say`: a person says something. The app hears it if it is in the workspace.
pub(crate) async fn say(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(say) => done(&headers, perform(&sim, &say)),
        Err(refusal) => *refusal,
    }
}

pub(super) fn perform(sim: &Arc<Sim>, say: &Say) -> Act {
    let found = find(sim, &say.place)?;
    let mut text = say.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if let Some(bot) = &found.bot {
        let mention = format!("@{}", sim.options.registration.bot_name);
        text = text.replace(&mention, &format!("<@{}>", bot.user_id));
    }
    let message = post(sim, &found, &text, say.thread_ts.clone())?;
    let Some(bot) = &found.bot else { return Ok(json!({ "ts": message.ts, "event_ids": [] })) };
    let channel_type = if found.is_direct { "im" } else { "channel" };
    let mut event = json!({
        "type": "message", "channel_type": channel_type, "channel": found.channel, "user": found.person.id,
        "text": message.text, "ts": message.ts, "event_ts": message.ts, "team": found.team,
    });
    if let Some(thread_ts) = &message.thread_ts {
        event["thread_ts"] = thread_ts.as_str().into();
    }
    let mut events = vec![envelope(sim, &found, bot, &event)];
    // In a direct message there is nobody else to mention the app to: it is a message alone.
    if !found.is_direct && message.text.contains(&format!("<@{}>", bot.user_id)) {
        event["type"] = "app_mention".into();
        if let Some(fields) = event.as_object_mut() {
            fields.remove("channel_type");
        }
        events.push(envelope(sim, &found, bot, &event));
    }
    events.iter().for_each(|event| send_event(sim, event));
    let ids = events.iter().map(|event| event["event_id"].clone()).collect::<Vec<_>>();
    Ok(json!({ "ts": message.ts, "event_ids": ids }))
}

fn post(
    sim: &Sim,
    found: &Found,
    text: &str,
    thread_ts: Option<String>,
) -> Result<Message, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let channel =
        state.world.workspace(Some(&found.team)).and_then(|workspace| workspace.channel(&found.channel));
    let message = channel.ok_or((NOT_FOUND, "channel_not_found"))?.post(Message {
        user: found.person.id.clone(),
        text: text.to_owned(),
        thread_ts,
        blocks: Value::Null,
        ..Message::default()
    });
    state.keep();
    Ok(message)
}
