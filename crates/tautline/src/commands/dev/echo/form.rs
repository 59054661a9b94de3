//! A form: opened by a button or a shortcut, checked, submitted, closed.

use serde_json::{Value, json};
use tautline_server::dispatch::{HandlerAnswer, HandlerCall};

use super::{tell, text};

const CITIES: [&str; 6] = ["Amsterdam", "Berlin", "Kyoto", "Lisbon", "London", "Oslo"];

pub(super) async fn open(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let view = view(text(said, "/channel/id")).to_string();
    tell(call, "views.open", vec![("trigger_id", text(said, "/trigger_id").to_owned()), ("view", view)]).await
}

fn view(channel: &str) -> Value {
    let plain = |text: &str| json!({ "type": "plain_text", "text": text });
    let size = |name: &str| json!({ "text": plain(name), "value": name.to_lowercase() });
    json!({
        "type": "modal", "callback_id": "order", "private_metadata": channel, "notify_on_close": true,
        "title": plain("Order a pizza"), "submit": plain("Order"), "close": plain("Cancel"),
        "blocks": [
            { "type": "input", "block_id": "name", "label": plain("What is it called?"),
              "hint": plain("At least three letters, or the app refuses it"),
              "element": { "type": "plain_text_input", "action_id": "name" } },
            { "type": "input", "block_id": "size", "label": plain("How large?"),
              "element": { "type": "radio_buttons", "action_id": "size", "options": [size("Small"), size("Large")] } },
            { "type": "input", "block_id": "city", "label": plain("Where to?"), "optional": true,
              "element": { "type": "external_select", "action_id": "city", "placeholder": plain("A city"), "min_query_length": 1 } },
        ],
    })
}

pub(super) async fn submitted(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let name = text(said, "/view/state/values/name/name/value");
    if name.chars().count() < 3 {
        let errors = json!({ "name": "Three letters or more, please." });
        return HandlerAnswer::json(&json!({ "response_action": "errors", "errors": errors }));
    }
    let channel = text(said, "/view/private_metadata");
    if channel.is_empty() {
        return HandlerAnswer::ok();
    }
    let (user, size) =
        (text(said, "/user/id"), text(said, "/view/state/values/size/size/selected_option/text/text"));
    let city = text(said, "/view/state/values/city/city/selected_option/text/text");
    let to = if city.is_empty() { String::new() } else { format!(" to {city}") };
    let words = format!("<@{user}> ordered *{name}* ({}){to}.", size.to_lowercase());
    tell(call, "chat.postMessage", vec![("channel", channel.to_owned()), ("text", words)]).await
}

pub(super) async fn closed(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let channel = text(said, "/view/private_metadata");
    if channel.is_empty() {
        return HandlerAnswer::ok();
    }
    let form = vec![
        ("channel", channel.to_owned()),
        ("user", text(said, "/user/id").to_owned()),
        ("text", "You closed the form; nothing was ordered.".to_owned()),
    ];
    tell(call, "chat.postEphemeral", form).await
}

pub(super) fn suggested(said: &Value) -> HandlerAnswer {
    let wanted = text(said, "/value").to_lowercase();
    let found = CITIES.iter().filter(|city| city.to_lowercase().contains(&wanted));
    let options = found
        .map(|city| json!({ "text": { "type": "plain_text", "text": city }, "value": city.to_lowercase() }));
    HandlerAnswer::json(&json!({ "options": options.collect::<Vec<_>>() }))
}
