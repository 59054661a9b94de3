//! `POST /shortcut`: a person chooses a shortcut: a global one, or one of a message.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::interact::interact_or_tell;
use super::used::message_at;
use super::{Act, Place, act_ts, came_back, done, find, read, trigger_id};
use crate::app::Sim;
use crate::response_url::{self, Origin};

#[derive(Deserialize)]
struct Chosen {
    #[serde(flatten)]
    place: Place,
    callback_id: String,
    /// Of which message.
    ts: Option<String>,
}

pub(crate) async fn shortcut(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(chosen) => done(&headers, perform(&sim, &chosen).await),
        Err(refusal) => *refusal,
    }
}

async fn perform(sim: &Sim, chosen: &Chosen) -> Act {
    let found = find(sim, &chosen.place)?;
    let mut payload = found.base(if chosen.ts.is_some() { "message_action" } else { "shortcut" });
    payload["callback_id"] = chosen.callback_id.as_str().into();
    payload["action_ts"] = act_ts().into();
    payload["trigger_id"] = trigger_id(sim, &found).into();
    if let Some(ts) = &chosen.ts {
        let origin = Origin::of(&found.team, &found.channel, &found.person.id).about(ts);
        payload["message"] = json!(message_at(sim, &found, ts)?);
        payload["message_ts"] = ts.as_str().into();
        payload["channel"] = json!({ "id": found.channel, "name": found.channel_name });
        payload["response_url"] = response_url::make(sim, origin).into();
    }
    Ok(came_back(&interact_or_tell(sim, &found, &payload).await))
}
