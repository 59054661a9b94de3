//! `POST /click`: a person uses an element of a message.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Act, NOT_FOUND, Place, came_back, done, find, read, trigger_id};
use crate::app::Sim;
use crate::response_url;
use crate::sender::{Outgoing, send};

#[derive(Deserialize)]
struct Clicked {
    #[serde(flatten)]
    place: Place,
    ts: String,
    action_id: String,
}

/// `POST /click`: a person uses an element of a message.
pub(crate) async fn click(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let clicked: Clicked = match read(&headers, &body) {
        Ok(clicked) => clicked,
        Err(refusal) => return *refusal,
    };
    let payload = match block_actions(&sim, &clicked) {
        Ok(payload) => payload,
        Err(refusal) => return done(&headers, Err(refusal)),
    };
    let answer =
        send(&sim, &Outgoing::form("block_actions", &[("payload", &payload.to_string())]), None).await;
    done(&headers, Ok(came_back(&answer)))
}

fn block_actions(sim: &Sim, clicked: &Clicked) -> Act {
    let found = find(sim, &clicked.place)?;
    let message = {
        let mut state = sim.state();
        let channel =
            state.world.workspace(Some(&found.team)).and_then(|workspace| workspace.channel(&found.channel));
        let message =
            channel.and_then(|channel| channel.messages.iter().find(|message| message.ts == clicked.ts));
        message.cloned().ok_or((NOT_FOUND, "message_not_found"))?
    };
    let mut action = element(&message.blocks, &clicked.action_id).ok_or((NOT_FOUND, "action_not_found"))?;
    action["action_ts"] = message.ts.clone().into();
    Ok(json!({
        "type": "block_actions",
        "token": "deprecated",
        "api_app_id": found.app_id,
        "team": { "id": found.team, "domain": found.domain },
        "enterprise": null,
        "is_enterprise_install": false,
        "user": { "id": found.person.id, "username": found.person.name, "name": found.person.name, "team_id": found.team },
        "channel": { "id": found.channel, "name": found.channel_name },
        "container": { "type": "message", "message_ts": message.ts, "channel_id": found.channel, "is_ephemeral": message.ephemeral },
        "message": message,
        "state": { "values": {} },
        "actions": [action],
        "trigger_id": trigger_id(sim),
        "response_url": response_url::make(sim, &found.team, &found.channel),
    }))
}

/// An element of a message, with the block it stands in.
fn element(blocks: &Value, action_id: &str) -> Option<Value> {
    for block in blocks.as_array()? {
        let elements = block["elements"].as_array().into_iter().flatten().chain(block.get("accessory"));
        if let Some(element) = elements.into_iter().find(|element| element["action_id"] == action_id) {
            let mut element = element.clone();
            element["block_id"] = block["block_id"].as_str().unwrap_or("b1").into();
            return Some(element);
        }
    }
    None
}
