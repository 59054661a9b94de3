//! `POST /weather`: what goes wrong from now on. `GET /weather`: what did.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::json;

use super::{done, read};
use crate::app::{Sim, lock};
use crate::weather::Weather;

pub(crate) async fn weather(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read::<Weather>(&headers, &body) {
        Ok(weather) => {
            lock(&sim.sky).weather = weather;
            done(&headers, Ok(json!({ "weather": weather })))
        }
        Err(refusal) => *refusal,
    }
}

pub(crate) async fn looked_at(State(sim): State<Arc<Sim>>) -> Response {
    let sky = lock(&sim.sky);
    Json(json!({ "weather": sky.weather, "too_fast": sky.too_fast, "counted": sky.counted })).into_response()
}
