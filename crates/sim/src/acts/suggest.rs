//! An external select asks the app for its options.

use serde_json::{Value, json};

use super::interact::interact;
use super::used::On;
use super::{Act, Found, answered_json, came_back, modal};
use crate::app::Sim;

pub(super) async fn look_up(sim: &Sim, found: &Found, on: &On, at: &str, query: &str) -> Act {
    let legacy = match &on.view {
        Some(view) => modal::legacy_of(sim, view["id"].as_str().unwrap_or_default()),
        None => None,
    };
    let placed = on.element(at)?;
    let payload = match legacy {
        Some(legacy) => modal::dialog_suggestion(found, &legacy, &placed.block["block_id"], query),
        None => {
            let mut payload = found.base("block_suggestion");
            on.place(&mut payload, found);
            payload["block_id"] = placed.block["block_id"].clone();
            payload["action_id"] = placed.element["action_id"].clone();
            payload["value"] = query.into();
            payload
        }
    };
    let answer = interact(sim, &payload).await;
    let options = answered_json(&answer).map(|said| offered(&said)).unwrap_or_default();
    sim.state().desk.suggested.entry(on.key.clone()).or_default().insert(at.to_owned(), options);
    Ok(came_back(&answer))
}

/// The options of an answer, those of groups one after the other. Legacy ones in today's form.
fn offered(said: &Value) -> Vec<Value> {
    let groups = said["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    let all = said["options"].as_array().into_iter().flatten().chain(grouped);
    all.map(|option| match option["label"].as_str() {
        Some(label) => json!({ "text": { "type": "plain_text", "text": label }, "value": option["value"] }),
        None => option.clone(),
    })
    .collect()
}
