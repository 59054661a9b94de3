//! `POST /channels`: channels are made, renamed, archived, left. Slack tells nobody here of it: `POST /event` does.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::{Act, NOT_FOUND, done, read};
use crate::app::Sim;
use crate::world::{Channel, id};

#[derive(Deserialize)]
struct Wanted {
    team: Option<String>,
    /// One that is there is changed; else it is made.
    name: String,
    /// So many, numbered.
    count: Option<usize>,
    rename: Option<String>,
    is_private: Option<bool>,
    is_archived: Option<bool>,
    /// Whether the app is in it.
    is_member: Option<bool>,
}

pub(crate) async fn channels(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(wanted) => done(&headers, perform(&sim, wanted)),
        Err(refusal) => *refusal,
    }
}

fn perform(sim: &Sim, wanted: Wanted) -> Act {
    let mut state = sim.state();
    let state = &mut *state;
    let workspace = state.world.workspace(wanted.team.as_deref()).ok_or((NOT_FOUND, "team_not_found"))?;
    let mut ids = Vec::new();
    for nth in 0..wanted.count.unwrap_or(1) {
        let name = match wanted.count {
            Some(_) => format!("{}{nth}", wanted.name),
            None => wanted.name.clone(),
        };
        let at = workspace.channels.iter().position(|channel| channel.name == name || channel.id == name);
        let at = at.unwrap_or_else(|| {
            workspace.channels.push(Channel { id: id(&mut state.rng, 'C'), name, ..Channel::default() });
            workspace.channels.len() - 1
        });
        let channel = &mut workspace.channels[at];
        channel.is_private = wanted.is_private.unwrap_or(channel.is_private);
        channel.is_archived = wanted.is_archived.unwrap_or(channel.is_archived);
        channel.is_left = wanted.is_member.map_or(channel.is_left, |is_member| !is_member);
        if let Some(name) = &wanted.rename {
            channel.name.clone_from(name);
        }
        ids.push(channel.id.clone());
    }
    Ok(json!({ "channels": ids }))
}
