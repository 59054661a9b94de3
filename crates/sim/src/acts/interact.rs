//! An interaction on its way to the app.

use serde_json::Value;

use super::Found;
use crate::app::Sim;
use crate::response_url::{self, Origin};
use crate::sender::{Answer, Outgoing, send};

/// Sends an interaction. People's acts are not retried: the person sees what became of them.
pub(super) async fn interact(sim: &Sim, payload: &Value) -> Result<Answer, &'static str> {
    let what = payload["type"].as_str().unwrap_or("interaction").to_owned();
    send(sim, &Outgoing::form(&what, &[("payload", &payload.to_string())]), None).await
}

/// The same, where nothing else would show a failure: Slack puts a sign beside what was used.
pub(super) async fn interact_or_tell(
    sim: &Sim,
    found: &Found,
    payload: &Value,
) -> Result<Answer, &'static str> {
    let answer = interact(sim, payload).await;
    let failed = match &answer {
        Ok(answer) if answer.status == 200 => return Ok(answer.clone()),
        Ok(answer) => format!("the app answered {}", answer.status),
        Err(reason) => (*reason).to_owned(),
    };
    let origin = Origin::of(&found.team, &found.channel, &found.person.id);
    response_url::tell(sim, &origin, &format!("⚠ That did not work: {failed}."));
    answer
}
