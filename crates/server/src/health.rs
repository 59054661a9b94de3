//! `/healthz`: the process lives. `/readyz`: it can keep its promises.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use tokio::time::timeout;

use crate::app::App;
use crate::error::chain;

pub(crate) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let limit = app.settings.tuning.commit_budget;
    let store = match timeout(limit, app.store.readiness(app.clock.now())).await {
        Ok(Ok(readiness)) => readiness,
        Ok(Err(error)) => return not_ready(&chain(&error)),
        Err(_) => return not_ready("the store did not commit within its budget"),
    };
    Json(json!({
        "status": "ready",
        "store": { "engine": store.engine, "durability": store.durability },
    }))
    .into_response()
}

fn not_ready(why: &str) -> Response {
    tracing::error!(why, "not ready");
    let body = json!({ "status": "not ready", "error": "the store cannot be written to", "code": "store_unavailable", "fix": "see the log" });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}
