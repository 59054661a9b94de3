//! `POST /event`: something happens that no person here can do. And the envelope of every event.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Act, Found, Place, done, find, object, read};
use crate::app::Sim;
use crate::sender::send_event;
use crate::time::now_s;
use crate::world::{Bot, id};

#[derive(Deserialize)]
struct RawEvent {
    #[serde(flatten)]
    place: Place,
    event: Value,
}

/// `POST /event`: something happens that no person here can do.
pub(crate) async fn event(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(raw) => done(&headers, perform(&sim, &raw)),
        Err(refusal) => *refusal,
    }
}

fn perform(sim: &Arc<Sim>, raw: &RawEvent) -> Act {
    let found = find(sim, &raw.place)?;
    let bot = found.bot.as_ref().ok_or((StatusCode::CONFLICT, "app_not_installed"))?;
    let envelope = envelope(sim, &found, bot, &object(&raw.event)?);
    send_event(sim, &envelope);
    Ok(json!({ "event_ids": [envelope["event_id"]] }))
}

/// An event as Slack wraps it.
pub(super) fn envelope(sim: &Sim, found: &Found, bot: &Bot, event: &Value) -> Value {
    let event_id = format!("Ev{}", id(&mut sim.state().rng, '0'));
    json!({
        "token": "deprecated",
        "team_id": found.team,
        "context_team_id": found.team,
        "context_enterprise_id": null,
        "api_app_id": found.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": now_s(),
        "authorizations": [{
            "enterprise_id": null, "team_id": found.team, "user_id": bot.user_id,
            "is_bot": true, "is_enterprise_install": false,
        }],
        "is_ext_shared_channel": false,
        "event_context": format!("4-{event_id}"),
    })
}
