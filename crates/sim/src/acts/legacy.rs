//! Buttons and menus of legacy attachments.

use serde_json::json;

use super::interact::interact;
use super::{Act, Found, NOT_FOUND, act_ts, answered_json, came_back, trigger_id};
use crate::app::Sim;
use crate::blocks::placed::Values;
use crate::response_url::{self, Origin};
use crate::world::Message;

/// A button or menu of a legacy attachment, `{attachment}.{action}`.
pub(super) async fn press(sim: &Sim, found: &Found, message: &Message, place: &str, values: &Values) -> Act {
    let (attachment, action) = place
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?)))
        .ok_or((NOT_FOUND, "action_not_found"))?;
    let attached = &message.attachments[attachment];
    let used = attached["actions"].get(action).ok_or((NOT_FOUND, "action_not_found"))?;
    let chosen = values.get(place).and_then(|values| values.first());
    let mut done = json!({ "name": used["name"], "type": used["type"] });
    match chosen {
        Some(value) => done["selected_options"] = json!([{ "value": value }]),
        None => done["value"] = used["value"].clone(),
    }
    let mut payload = found.base("interactive_message");
    let origin = Origin::of(&found.team, &found.channel, &found.person.id).about(&message.ts);
    payload["actions"] = json!([done]);
    payload["callback_id"] = attached["callback_id"].clone();
    payload["channel"] = json!({ "id": found.channel, "name": found.channel_name });
    payload["action_ts"] = act_ts().into();
    payload["message_ts"] = message.ts.as_str().into();
    payload["attachment_id"] = (attachment + 1).to_string().into();
    payload["original_message"] = json!(message);
    payload["response_url"] = response_url::make(sim, origin.clone()).into();
    payload["trigger_id"] = trigger_id(sim, found).into();
    let answer = interact(sim, &payload).await;
    if let Some(mut said) =
        answered_json(&answer).filter(|said| said.as_object().is_some_and(|said| !said.is_empty()))
    {
        // Unless it says otherwise, the answer takes the message's place.
        if said["replace_original"].is_null() && said["delete_original"].is_null() {
            said["replace_original"] = true.into();
        }
        response_url::show(sim, &origin, &said);
    }
    Ok(came_back(&answer))
}
