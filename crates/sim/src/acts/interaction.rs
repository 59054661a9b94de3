//! `POST /interaction`: an interaction that no face here makes, written by hand. Who and where is filled in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::interact::interact;
use super::{Act, Place, came_back, done, find, object, read, trigger_id};
use crate::app::Sim;
use crate::response_url::{self, Origin};

#[derive(Deserialize)]
struct ByHand {
    #[serde(flatten)]
    place: Place,
    payload: Value,
}

pub(crate) async fn interaction(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(by_hand) => done(&headers, perform(&sim, &by_hand).await),
        Err(refusal) => *refusal,
    }
}

async fn perform(sim: &Sim, by_hand: &ByHand) -> Act {
    let found = find(sim, &by_hand.place)?;
    let written = object(&by_hand.payload)?;
    let kind = written["type"].as_str().ok_or((StatusCode::BAD_REQUEST, "no_type"))?.to_owned();
    let mut payload = found.base(&kind);
    payload["channel"] = json!({ "id": found.channel, "name": found.channel_name });
    payload["trigger_id"] = trigger_id(sim, &found).into();
    payload["response_url"] =
        response_url::make(sim, Origin::of(&found.team, &found.channel, &found.person.id)).into();
    for (name, value) in written.as_object().into_iter().flatten() {
        payload[name] = value.clone();
    }
    Ok(came_back(&interact(sim, &payload).await))
}
