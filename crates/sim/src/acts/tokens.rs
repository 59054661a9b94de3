//! `POST /tokens/expire`: every token that ends at some time ends now. `POST /lose`: answers of a method are lost on their way.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::{done, read};
use crate::app::{Lost, Sim, lock};
use crate::rotation;

#[derive(Deserialize)]
struct Expiring {
    /// What renews them, as well.
    #[serde(default)]
    refresh: bool,
}

pub(crate) async fn expire(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let expiring = match read::<Expiring>(&headers, &body) {
        Ok(expiring) => expiring,
        Err(refusal) => return *refusal,
    };
    let mut state = sim.state();
    let expired = rotation::expire(&mut state, expiring.refresh);
    state.keep();
    done(&headers, Ok(json!({ "expired": expired })))
}

#[derive(Deserialize)]
struct Losing {
    method: String,
    #[serde(default = "once")]
    times: u32,
    /// The connection stays, and nothing comes.
    #[serde(default)]
    held: bool,
}

fn once() -> u32 {
    1
}

pub(crate) async fn lose(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read::<Losing>(&headers, &body) {
        Ok(Losing { method, times, held }) => {
            let lost = if held { Lost::Held } else { Lost::Cut };
            lock(&sim.losing).insert(method, (times, lost));
            done(&headers, Ok(json!({ "times": times })))
        }
        Err(refusal) => *refusal,
    }
}
