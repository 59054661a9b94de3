//! `POST /say`: a person says something.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event::envelope;
use super::{Found, NOT_FOUND, Place, act, find};
use crate::app::Sim;
use crate::sender::send_event;
use crate::world::Message;

#[derive(Deserialize)]
struct Say {
    #[serde(flatten)]
    place: Place,
    text: String,
}

/// `POST /say`: a person says something. The app hears it if it is in the workspace.
pub(crate) async fn say(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    act(&headers, &body, |say: Say| {
        let found = find(&sim, &say.place)?;
        let text = match &found.bot {
            Some(bot) => say
                .text
                .replace(&format!("@{}", sim.options.registration.bot_name), &format!("<@{}>", bot.user_id)),
            None => say.text,
        };
        let message = post(&sim, &found, &text)?;
        let Some(bot) = &found.bot else { return Ok(json!({ "ts": message.ts, "event_ids": [] })) };
        let mut event = json!({
            "type": "message", "channel_type": "channel", "channel": found.channel, "user": found.person.id,
            "text": message.text, "ts": message.ts, "event_ts": message.ts, "team": found.team,
        });
        let mut events = vec![envelope(&sim, &found, bot, &event)];
        if message.text.contains(&format!("<@{}>", bot.user_id)) {
            event["type"] = "app_mention".into();
            if let Some(fields) = event.as_object_mut() {
                fields.remove("channel_type");
            }
            events.push(envelope(&sim, &found, bot, &event));
        }
        events.iter().for_each(|event| send_event(&sim, event));
        let ids = events.iter().map(|event| event["event_id"].clone()).collect::<Vec<_>>();
        Ok(json!({ "ts": message.ts, "event_ids": ids }))
    })
    .await
}

fn post(sim: &Sim, found: &Found, text: &str) -> Result<Message, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let channel =
        state.world.workspace(Some(&found.team)).and_then(|workspace| workspace.channel(&found.channel));
    let message = channel.ok_or((NOT_FOUND, "channel_not_found"))?.post(Message {
        ts: String::new(),
        user: found.person.id.clone(),
        bot_id: None,
        text: text.to_owned(),
        blocks: Value::Null,
        thread_ts: None,
        ephemeral: false,
    });
    state.keep();
    Ok(message)
}
