//! The elements of a surface, each with its place: by which a form's fields name them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What was typed and chosen, by place.
pub(crate) type Values = BTreeMap<String, Vec<String>>;

/// An element where it stands.
pub(crate) struct Placed<'b> {
    pub(crate) at: String,
    pub(crate) block: &'b Value,
    pub(crate) element: &'b Value,
}

/// All elements of a message: of its blocks, and of those in its attachments.
pub(crate) fn of_message<'b>(blocks: &'b Value, attachments: &'b Value) -> Vec<Placed<'b>> {
    let attached = attachments.as_array().into_iter().flatten();
    elements(blocks).into_iter().chain(attached.flat_map(|attached| elements(&attached["blocks"]))).collect()
}

/// All elements of blocks, in their order.
pub(crate) fn elements(blocks: &Value) -> Vec<Placed<'_>> {
    let mut placed = Vec::new();
    for block in blocks.as_array().into_iter().flatten() {
        let several = block["elements"].as_array().into_iter().flatten();
        let single = ["accessory", "element"].into_iter().filter_map(|field| block.get(field));
        // Of a context or of rich text the parts are no controls.
        let controls = several.chain(single).filter(|element| element["action_id"].is_string());
        placed.extend(controls.map(|element| Placed { at: place(block, element), block, element }));
    }
    placed
}

/// By which an element is known: its block's id and its own. So what was typed stays with its field when an app
/// changes what stands around it.
pub(crate) fn place(block: &Value, element: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}|{}", text(&block["block_id"]), text(&element["action_id"]))
}

/// Gives every block and every control the id that it lacks, as Slack does.
pub(crate) fn with_ids(mut blocks: Value, mut id: impl FnMut() -> String) -> Value {
    for block in blocks.as_array_mut().into_iter().flatten() {
        let Some(block) = block.as_object_mut() else { continue };
        if !block.contains_key("block_id") {
            block.insert("block_id".into(), id().into());
        }
        let controls = match block.get("type").and_then(Value::as_str) {
            Some("actions" | "context_actions") => block.get_mut("elements").and_then(Value::as_array_mut),
            _ => None,
        };
        let controls = controls.map(|controls| controls.iter_mut().collect::<Vec<_>>()).unwrap_or_default();
        for control in controls {
            give_id(control, &mut id);
        }
        for field in ["accessory", "element"] {
            if let Some(control) = block.get_mut(field) {
                give_id(control, &mut id);
            }
        }
    }
    blocks
}

fn give_id(control: &mut Value, id: &mut impl FnMut() -> String) {
    if let Some(control) = control.as_object_mut()
        && control.get("type").is_some_and(|kind| kind != "image")
        && !control.contains_key("action_id")
    {
        control.insert("action_id".into(), id().into());
    }
}

/// What an element holds when nothing was typed or chosen: what the app put there.
pub(crate) fn initial(element: &Value) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => {
            list.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect()
        }
        other => vec![other.to_string()],
    };
    let field = element.as_object().and_then(|fields| {
        fields.iter().find(|(name, _)| name.starts_with("initial_")).map(|(_, value)| value)
    });
    field.map(texts).unwrap_or_default()
}

/// What an element says of itself: its part of `state.values`, and of an action.
pub(crate) fn said(element: &Value, values: &[String]) -> Map<String, Value> {
    let kind = element["type"].as_str().unwrap_or_default();
    let first = || values.first().filter(|value| !value.is_empty());
    let text = || first().map_or(Value::Null, |value| value.as_str().into());
    let option = || first().and_then(|value| serde_json::from_str(value).ok()).unwrap_or(Value::Null);
    let texts = || Value::from(values.iter().filter(|value| !value.is_empty()).cloned().collect::<Vec<_>>());
    let options = || {
        let read = values.iter().filter_map(|value| serde_json::from_str::<Value>(value).ok());
        Value::Array(read.collect())
    };
    let said = match kind {
        "static_select" | "external_select" | "radio_buttons" | "overflow" => {
            Some(("selected_option", option()))
        }
        "multi_static_select" | "multi_external_select" | "checkboxes" => {
            Some(("selected_options", options()))
        }
        "users_select" => Some(("selected_user", text())),
        "conversations_select" => Some(("selected_conversation", text())),
        "channels_select" => Some(("selected_channel", text())),
        "multi_users_select" => Some(("selected_users", texts())),
        "multi_conversations_select" => Some(("selected_conversations", texts())),
        "multi_channels_select" => Some(("selected_channels", texts())),
        "datepicker" => Some(("selected_date", text())),
        "timepicker" => Some(("selected_time", text())),
        "datetimepicker" => {
            let at = first().and_then(|value| seconds(value));
            Some(("selected_date_time", at.map_or(Value::Null, Value::from)))
        }
        "rich_text_input" => Some(("rich_text_value", first().map_or(Value::Null, |text| rich_text(text)))),
        "file_input" => Some(("files", json!([]))),
        "button" | "workflow_button" | "icon_button" | "feedback_buttons" => None,
        _ => Some(("value", text())),
    };
    let mut fields = Map::from_iter([("type".to_owned(), kind.into())]);
    fields.extend(said.map(|(name, value)| (name.to_owned(), value)));
    fields
}

/// Whether something is there that Slack would not ask for again.
pub(crate) fn is_complete(element: &Value, values: &[String]) -> bool {
    let is_filled = values.iter().any(|value| !value.is_empty());
    is_filled || element["type"] == "file_input"
}

/// Whether using it without a choice means nothing: Slack then says nothing to the app.
pub(crate) fn asks_for_a_choice(element: &Value) -> bool {
    let kind = element["type"].as_str().unwrap_or_default();
    (kind.ends_with("_select") && !kind.starts_with("multi_")) || matches!(kind, "overflow" | "radio_buttons")
}

/// A date and time of a form, as UTC, in seconds; or seconds as they are.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (date, time) = text.split_once('T')?;
    let numbers =
        |text: &str, sign| text.split(sign).map(|part| part.parse().ok()).collect::<Option<Vec<i64>>>();
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let ([year, month, day], [hour, minute, ..]) = (date.as_slice(), time.as_slice()) else { return None };
    let is_date = (1..=9999).contains(year) && (1..=12).contains(month) && (1..=31).contains(day);
    if !is_date || !(0..24).contains(hour) || !(0..60).contains(minute) {
        return None;
    }
    // Days since 1970, by counting years from March.
    let (y, m) = if *month <= 2 { (year - 1, month + 9) } else { (*year, month - 3) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (m * 306 + 5) / 10 + day
        - 1
        - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60)
}

fn rich_text(text: &str) -> Value {
    json!({ "type": "rich_text", "elements": [
        { "type": "rich_text_section", "elements": [{ "type": "text", "text": text }] },
    ]})
}

/// `state.values` of a surface.
pub(crate) fn state(blocks: &Value, values: &Values) -> Value {
    let mut state = Map::new();
    for placed in elements(blocks) {
        let held = values.get(&placed.at).cloned().unwrap_or_else(|| initial(placed.element));
        let said = said(placed.element, &held);
        if said.len() < 2 {
            continue;
        }
        let block = state.entry(placed.block["block_id"].as_str().unwrap_or_default()).or_insert(json!({}));
        block[placed.element["action_id"].as_str().unwrap_or_default()] = Value::Object(said);
    }
    json!({ "values": state })
}

/// The action that using an element is.
pub(crate) fn action(placed: &Placed<'_>, values: &[String], action_ts: &str) -> Value {
    let mut action = said(placed.element, values);
    for (to, from) in
        [("block_id", placed.block.get("block_id")), ("action_id", placed.element.get("action_id"))]
    {
        action.insert(to.to_owned(), from.cloned().unwrap_or_default());
    }
    for field in ["text", "value", "style", "placeholder"] {
        if let Some(value) = placed.element.get(field) {
            action.entry(field).or_insert(value.clone());
        }
    }
    action.insert("action_ts".to_owned(), action_ts.into());
    Value::Object(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Value {
        let option = json!({ "text": { "type": "plain_text", "text": "One" }, "value": "1" });
        json!([
            { "type": "section", "text": {}, "accessory": { "type": "button", "action_id": "go", "value": "7" } },
            { "type": "actions", "block_id": "own", "elements": [
                { "type": "static_select", "action_id": "pick", "options": [option], "initial_option": option },
                { "type": "datetimepicker", "action_id": "when" },
            ]},
            { "type": "input", "element": { "type": "plain_text_input" } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": "x" }] },
        ])
    }

    fn numbered(blocks: Value) -> Value {
        let mut count = 0;
        with_ids(blocks, || {
            count += 1;
            format!("g{count}")
        })
    }

    #[test]
    fn what_has_no_id_gets_one_and_what_has_keeps_it() {
        let blocks = numbered(blocks());
        assert_eq!(blocks[0]["block_id"], "g1");
        assert_eq!(blocks[1]["block_id"], "own");
        assert_eq!(blocks[2]["element"]["action_id"], "g3");
        assert_eq!(blocks[3]["elements"][0].get("action_id"), None);
    }

    #[test]
    fn state_holds_every_control_and_no_button() {
        let blocks = numbered(blocks());
        let values = Values::from([
            ("own|when".to_owned(), vec!["2026-11-21T23:00".to_owned()]),
            ("g2|g3".to_owned(), vec!["typed".to_owned()]),
        ]);
        let state = state(&blocks, &values);
        assert_eq!(state["values"]["own"]["pick"]["selected_option"]["value"], "1", "the initial one");
        assert_eq!(state["values"]["own"]["when"]["selected_date_time"], 1_795_302_000);
        assert_eq!(state["values"]["g2"]["g3"]["value"], "typed");
        assert_eq!(state["values"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn an_action_names_its_place_and_what_was_chosen() {
        let blocks = numbered(blocks());
        let placed = elements(&blocks);
        let button = action(&placed[0], &[], "1.2");
        assert_eq!(
            (&button["block_id"], &button["action_id"], &button["value"]),
            (&json!("g1"), &json!("go"), &json!("7"))
        );
        let pick = action(&placed[1], &[json!({ "value": "1" }).to_string()], "1.2");
        assert_eq!(pick["selected_option"], json!({ "value": "1" }));
    }
}
