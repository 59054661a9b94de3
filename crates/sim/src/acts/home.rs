//! `POST /home`: a person opens the app's Home tab.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use serde_json::json;

use super::event::envelope;
use super::{Place, act_ts, done, find, read};
use crate::app::Sim;
use crate::sender::send_event;

pub(crate) async fn home(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let place: Place = match read(&headers, &body) {
        Ok(place) => place,
        Err(refusal) => return *refusal,
    };
    let found = match find(&sim, &place) {
        Ok(found) => found,
        Err(refusal) => return done(&headers, Err(refusal)),
    };
    let Some(bot) = &found.bot else {
        return done(&headers, Err((http::StatusCode::CONFLICT, "app_not_installed")));
    };
    let direct = {
        let mut guard = sim.state();
        let state = &mut *guard;
        let workspace = state.world.workspace(Some(&found.team));
        let channel =
            workspace.and_then(|workspace| workspace.direct_message(&found.person.id, &mut state.rng));
        channel.map(|channel| channel.id.clone()).unwrap_or_default()
    };
    let event = json!({
        "type": "app_home_opened", "user": found.person.id, "channel": direct, "tab": "home", "event_ts": act_ts(),
    });
    let envelope = envelope(&sim, &found, bot, &event);
    send_event(&sim, &envelope);
    let query = [("team", found.team.as_str()), ("user", &found.person.name), ("channel", "home")];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    Redirect::to(&format!("/?{query}")).into_response()
}
