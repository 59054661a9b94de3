//! An interaction on its way to the app.

use serde_json::Value;

use crate::app::Sim;
use crate::sender::{Answer, Outgoing, send};

/// Sends an interaction. People's acts are not retried: the person sees what became of them.
pub(super) async fn interact(sim: &Sim, payload: &Value) -> Result<Answer, &'static str> {
    let what = payload["type"].as_str().unwrap_or("interaction").to_owned();
    send(sim, &Outgoing::form(&what, &[("payload", &payload.to_string())]), None).await
}
