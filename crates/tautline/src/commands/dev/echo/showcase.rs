//! `/demo`: one message with most of what a message can hold.

use serde_json::{Value, json};
use tautline_server::dispatch::{HandlerAnswer, HandlerCall};

use super::tell;

pub(super) async fn show(call: &HandlerCall, channel: &str) -> HandlerAnswer {
    let form = vec![
        ("channel", channel.to_owned()),
        ("text", "What a message can hold".to_owned()),
        ("blocks", blocks().to_string()),
        ("attachments", legacy().to_string()),
    ];
    tell(call, "chat.postMessage", form).await
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text })
}

fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text })
}

fn options(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "text": plain(name), "value": name.to_lowercase() })).collect()
}

fn blocks() -> Value {
    let confirm = json!({
        "title": plain("Throw it away?"), "text": mrkdwn("It *cannot* be brought back."),
        "confirm": plain("Throw away"), "deny": plain("Keep"),
    });
    json!([
        { "type": "header", "text": plain("What a message can hold") },
        { "type": "section", "text": mrkdwn("Text with *bold*, _italic_, `code` and a <https://docs.slack.dev|link>. :tada:"),
          "accessory": { "type": "button", "action_id": "open_form", "text": plain("Open a form"), "style": "primary" } },
        { "type": "section", "fields": [mrkdwn("*Service*\ncheckout"), mrkdwn("*Version*\n1.4.2")] },
        { "type": "divider" },
        { "type": "actions", "elements": [
            { "type": "static_select", "action_id": "pick_size", "placeholder": plain("Size"), "options": options(&["Small", "Large"]) },
            { "type": "users_select", "action_id": "pick_person", "placeholder": plain("A person") },
            { "type": "datepicker", "action_id": "pick_day" },
            { "type": "overflow", "action_id": "more", "options": options(&["Copy", "Move"]) },
            { "type": "button", "action_id": "throw_away", "text": plain("Throw away"), "style": "danger", "confirm": confirm },
        ]},
        { "type": "actions", "elements": [
            { "type": "external_select", "action_id": "pick_city", "placeholder": plain("A city, from the app"), "min_query_length": 1 },
            { "type": "checkboxes", "action_id": "toppings", "options": options(&["Cheese", "Olives"]) },
        ]},
        { "type": "context", "elements": [mrkdwn("Each of these is a request in the gateway's inbox when you use it.")] },
    ])
}

fn legacy() -> Value {
    json!([{
        "callback_id": "legacy", "text": "And a legacy attachment:", "actions": [
            { "name": "vote", "type": "button", "text": "Yes", "value": "yes" },
            { "name": "vote", "type": "button", "text": "No", "value": "no" },
        ],
    }])
}
