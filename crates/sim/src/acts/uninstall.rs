//! `POST /uninstall`: an admin removes the app from a workspace. Its token dies, and Slack tells of both.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::event::envelope;
use super::{Act, Place, done, find, read};
use crate::app::Sim;
use crate::sender::send_event;

pub(crate) async fn uninstall(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(place) => done(&headers, perform(&sim, &place)),
        Err(refusal) => *refusal,
    }
}

fn perform(sim: &Arc<Sim>, place: &Place) -> Act {
    let found = find(sim, place)?;
    let bot = found.bot.as_ref().ok_or((StatusCode::CONFLICT, "app_not_installed"))?;
    let told = [
        json!({ "type": "tokens_revoked", "tokens": { "oauth": [], "bot": [bot.user_id] } }),
        json!({ "type": "app_uninstalled" }),
    ];
    let mut envelopes = told.map(|event| envelope(sim, &found, bot, &event));
    for envelope in &mut envelopes {
        // Nobody is left who could be authorized.
        envelope.as_object_mut().map(|fields| fields.remove("authorizations"));
    }
    let mut state = sim.state();
    state.world.tokens.retain(|grant| grant.team != found.team);
    state.world.refresh_tokens.retain(|renewal| renewal.team != found.team);
    if let Some(workspace) = state.world.workspaces.iter_mut().find(|each| each.id == found.team) {
        workspace.bot = None;
    }
    drop(state);
    envelopes.iter().for_each(|envelope| send_event(sim, envelope));
    Ok(json!({ "event_ids": envelopes.map(|envelope| envelope["event_id"].clone()) }))
}
