//! What is used in a message, and the ancestors of all that: attachments' buttons and dialogs.

use serde_json::{Value, json};
use tautline_server::dispatch::{HandlerAnswer, HandlerCall};

use super::{tell, text};

async fn whisper(call: &HandlerCall, said: &Value, words: String) -> HandlerAnswer {
    let (channel, user) = (text(said, "/channel/id"), text(said, "/user/id"));
    if channel.is_empty() {
        return HandlerAnswer::ok();
    }
    let form = vec![("channel", channel.to_owned()), ("user", user.to_owned()), ("text", words)];
    tell(call, "chat.postEphemeral", form).await
}

/// Says what was used, and what was chosen.
pub(super) async fn used(call: &HandlerCall, action: &str, said: &Value) -> HandlerAnswer {
    let action_said = &said["actions"][0];
    let named = |option: &Value| text(option, "/text/text").to_owned();
    let several = action_said["selected_options"].as_array();
    let chosen = match (&action_said["selected_option"], several) {
        (option @ Value::Object(_), _) => named(option),
        (_, Some(options)) => options.iter().map(named).collect::<Vec<_>>().join(", "),
        _ => {
            let user = text(action_said, "/selected_user");
            let mention = format!("<@{user}>");
            let plain = ["/selected_date", "/value"].map(|field| text(action_said, field));
            if user.is_empty() { plain.join("") } else { mention }
        }
    };
    let what = if chosen.is_empty() { String::new() } else { format!(": {chosen}") };
    whisper(call, said, format!("You used `{action}`{what}")).await
}

pub(super) async fn noted(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    whisper(call, said, format!("Noted: “{}”", text(said, "/message/text"))).await
}

pub(super) fn pressed(said: &Value) -> HandlerAnswer {
    let answer = format!("You voted {}.", text(said, "/actions/0/value"));
    HandlerAnswer::json(&json!({ "text": answer, "replace_original": false, "response_type": "ephemeral" }))
}

pub(super) async fn open_dialog(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let dialog = json!({
        "callback_id": "legacy_order", "title": "A legacy dialog", "submit_label": "Send", "notify_on_cancel": true,
        "elements": [
            { "type": "text", "label": "Name", "name": "name" },
            { "type": "select", "label": "City", "name": "city", "data_source": "external", "optional": true },
        ],
    });
    let form = vec![("trigger_id", text(said, "/trigger_id").to_owned()), ("dialog", dialog.to_string())];
    tell(call, "dialog.open", form).await
}

pub(super) fn dialog_options(said: &Value) -> HandlerAnswer {
    let wanted = text(said, "/value");
    let option = |name: &str| json!({ "label": format!("{wanted} {name}").trim(), "value": name });
    HandlerAnswer::json(&json!({ "options": [option("North"), option("South")] }))
}
