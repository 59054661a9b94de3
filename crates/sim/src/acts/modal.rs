//! Modals: submitted, closed. And their ancestors, dialogs.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::interact::interact;
use super::{Act, Found, NOT_FOUND, act_ts, answered_json, came_back, trigger_id};
use crate::app::Sim;
use crate::blocks::placed::{self, Values};
use crate::desk::{Legacy, OpenView};
use crate::sender::Answer;

const TROUBLE: &str = "We had some trouble connecting. Try again?";

fn open_view(sim: &Sim, found: &Found, id: &str) -> Result<OpenView, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let open = state.desk.view(id).filter(|open| open.user == found.person.id);
    open.cloned().ok_or((NOT_FOUND, "view_not_found"))
}

pub(super) fn legacy_of(sim: &Sim, id: &str) -> Option<Legacy> {
    sim.state().desk.view(id)?.legacy.clone()
}

/// What is missing, by block: Slack asks for it itself.
fn missing(open: &OpenView, values: &Values) -> HashMap<String, String> {
    let inputs = placed::elements(&open.view["blocks"]).into_iter();
    let inputs = inputs.filter(|placed| placed.block["type"] == "input" && placed.block["optional"] != true);
    let empty = inputs.filter(|placed| {
        let held = values.get(&placed.at).cloned().unwrap_or_else(|| placed::initial(placed.element));
        !placed::is_complete(placed.element, &held)
    });
    let block =
        |placed: &placed::Placed<'_>| placed.block["block_id"].as_str().unwrap_or_default().to_owned();
    empty.map(|placed| (block(&placed), "Please complete this required field.".to_owned())).collect()
}

pub(super) async fn submit(sim: &Sim, found: &Found, id: &str, values: &Values) -> Act {
    let open = open_view(sim, found, id)?;
    let missing = missing(&open, values);
    if !missing.is_empty() {
        complain(sim, id, missing, None);
        return Ok(json!({ "error": "required_fields" }));
    }
    if let Some(legacy) = open.legacy.clone() {
        return submit_dialog(sim, found, &open, &legacy, values).await;
    }
    let bot_id = found.bot.as_ref().map(|bot| bot.bot_id.as_str()).unwrap_or_default();
    let mut payload = found.base("view_submission");
    payload["trigger_id"] = trigger_id(sim, found).into();
    payload["view"] = open.payload(&found.app_id, bot_id, values);
    payload["response_urls"] = json!([]);
    let answer = interact(sim, &payload).await;
    follow(sim, found, id, &answer);
    Ok(came_back(&answer))
}

/// Does what the app's answer says.
fn follow(sim: &Sim, found: &Found, id: &str, answer: &Result<Answer, &'static str>) {
    let said = answered_json(answer).unwrap_or_default();
    let is_empty =
        matches!(answer, Ok(answer) if answer.status == 200 && answer.body.trim_ascii().is_empty());
    match said["response_action"].as_str() {
        _ if is_empty => sim.state().desk.close(id),
        Some("errors") => {
            let errors = said["errors"].as_object().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let errors: HashMap<_, _> = errors.map(|(block, error)| (block.clone(), text(error))).collect();
            let is_input = |block: &Value| {
                block["type"] == "input" && errors.contains_key(text(&block["block_id"]).as_str())
            };
            let names_an_input = open_blocks(sim, id).iter().any(is_input);
            let trouble = (!names_an_input).then_some(TROUBLE);
            complain(sim, id, errors, trouble);
        }
        Some("update") if said["view"]["blocks"].is_array() => {
            if let Some(open) = sim.state().desk.view(id) {
                open.update(&said["view"]);
            }
        }
        Some("push") if said["view"]["blocks"].is_array() => {
            let pushed = sim.state().desk.open(&found.team, &found.person.id, &said["view"], true).is_ok();
            if !pushed {
                complain(sim, id, HashMap::new(), Some(TROUBLE));
            }
        }
        Some("clear") => sim.state().desk.clear(&found.person.id),
        _ => complain(sim, id, HashMap::new(), Some(TROUBLE)),
    }
}

fn open_blocks(sim: &Sim, id: &str) -> Vec<Value> {
    let mut state = sim.state();
    let blocks = state.desk.view(id).and_then(|open| open.view["blocks"].as_array().cloned());
    blocks.unwrap_or_default()
}

fn complain(sim: &Sim, id: &str, errors: HashMap<String, String>, trouble: Option<&'static str>) {
    if let Some(open) = sim.state().desk.view(id) {
        (open.errors, open.trouble) = (errors, trouble);
    }
}

/// `all`: the × in the corner, which takes every view away.
pub(super) async fn close(sim: &Sim, found: &Found, id: &str, all: bool) -> Act {
    let open = open_view(sim, found, id)?;
    let all = all || open.view["clear_on_close"] == true;
    // The × tells of the view at the bottom.
    let told = if all { open_view(sim, found, &open.root).unwrap_or(open) } else { open };
    if all {
        sim.state().desk.clear(&found.person.id);
    } else {
        sim.state().desk.close(id);
    }
    if let Some(legacy) = &told.legacy {
        if legacy.dialog["notify_on_cancel"] != true {
            return Ok(json!({}));
        }
        let payload = dialog_payload(found, legacy, "dialog_cancellation");
        return Ok(came_back(&interact(sim, &payload).await));
    }
    if told.view["notify_on_close"] != true {
        return Ok(json!({}));
    }
    let bot_id = found.bot.as_ref().map(|bot| bot.bot_id.as_str()).unwrap_or_default();
    let mut payload = found.base("view_closed");
    payload["view"] = told.payload(&found.app_id, bot_id, &Values::new());
    payload["is_cleared"] = all.into();
    Ok(came_back(&interact(sim, &payload).await))
}

fn dialog_payload(found: &Found, legacy: &Legacy, kind: &str) -> Value {
    let mut payload = found.base(kind);
    payload["callback_id"] = legacy.dialog["callback_id"].clone();
    payload["state"] = legacy.dialog["state"].as_str().unwrap_or_default().into();
    payload["channel"] = json!({ "id": legacy.channel, "name": found.channel_name });
    payload["action_ts"] = act_ts().into();
    payload["response_url"] = legacy.response_url.as_str().into();
    payload
}

pub(super) fn dialog_suggestion(found: &Found, legacy: &Legacy, name: &Value, query: &str) -> Value {
    let mut payload = dialog_payload(found, legacy, "dialog_suggestion");
    payload["name"] = name.clone();
    payload["value"] = query.into();
    payload
}

async fn submit_dialog(sim: &Sim, found: &Found, open: &OpenView, legacy: &Legacy, values: &Values) -> Act {
    let mut submission = Map::new();
    for placed in placed::elements(&open.view["blocks"]) {
        let held = values.get(&placed.at).and_then(|values| values.first()).cloned().unwrap_or_default();
        let option = serde_json::from_str::<Value>(&held).ok();
        let value = option.and_then(|option| option["value"].as_str().map(str::to_owned)).unwrap_or(held);
        let name = placed.block["block_id"].as_str().unwrap_or_default();
        submission.insert(name.to_owned(), if value.is_empty() { Value::Null } else { value.into() });
    }
    let mut payload = dialog_payload(found, legacy, "dialog_submission");
    payload["submission"] = Value::Object(submission);
    let answer = interact(sim, &payload).await;
    let errors = answered_json(&answer).map(|said| said["errors"].clone()).filter(Value::is_array);
    match (&answer, errors) {
        (_, Some(errors)) => {
            let text = |error: &Value, field: &str| error[field].as_str().unwrap_or_default().to_owned();
            let each = errors.as_array().into_iter().flatten();
            let errors = each.map(|error| (text(error, "name"), text(error, "error"))).collect();
            complain(sim, &open.id, errors, None);
        }
        (Ok(answer), None) if answer.status == 200 => sim.state().desk.close(&open.id),
        _ => complain(sim, &open.id, HashMap::new(), Some(TROUBLE)),
    }
    Ok(came_back(&answer))
}

/// A legacy dialog in the shape of a modal: each of its elements an input.
pub(crate) fn as_view(dialog: &Value) -> Value {
    let plain = |text: &Value| json!({ "type": "plain_text", "text": text.as_str().unwrap_or_default() });
    let option = |option: &Value| json!({ "text": plain(&option["label"]), "value": option["value"] });
    let input = |element: &Value| {
        let options = element["options"].as_array().into_iter().flatten().map(option).collect::<Vec<_>>();
        let mut control = match (element["type"].as_str(), element["data_source"].as_str()) {
            (Some("select"), Some("users")) => json!({ "type": "users_select" }),
            (Some("select"), Some("channels" | "conversations")) => json!({ "type": "channels_select" }),
            (Some("select"), Some("external")) => json!({ "type": "external_select" }),
            (Some("select"), _) => json!({ "type": "static_select", "options": options }),
            (kind, _) => json!({ "type": "plain_text_input", "multiline": kind == Some("textarea") }),
        };
        control["action_id"] = element["name"].clone();
        if element["value"].is_string() && control["type"] == "plain_text_input" {
            control["initial_value"] = element["value"].clone();
        }
        if element["placeholder"].is_string() {
            control["placeholder"] = plain(&element["placeholder"]);
        }
        json!({
            "type": "input", "block_id": element["name"], "label": plain(&element["label"]),
            "optional": element["optional"], "element": control,
        })
    };
    let blocks = dialog["elements"].as_array().into_iter().flatten().map(input).collect::<Vec<_>>();
    let submit = dialog["submit_label"].as_str().unwrap_or("Submit");
    json!({
        "type": "modal", "title": plain(&dialog["title"]), "callback_id": dialog["callback_id"], "blocks": blocks,
        "submit": { "type": "plain_text", "text": submit }, "close": { "type": "plain_text", "text": "Cancel" },
    })
}
