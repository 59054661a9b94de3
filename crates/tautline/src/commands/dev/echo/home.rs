//! The Home tab.

use serde_json::{Value, json};
use tautline_server::dispatch::{HandlerAnswer, HandlerCall};

use super::{tell, text};

pub(super) async fn opened(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let user = text(said, "/event/user");
    let view = json!({ "type": "home", "blocks": [
        { "type": "header", "text": { "type": "plain_text", "text": "The echo at home" } },
        { "type": "section", "text": { "type": "mrkdwn", "text": format!("Hello <@{user}>. Mention me in a channel, and I repeat what you say.") },
          "accessory": { "type": "button", "action_id": "open_form", "text": { "type": "plain_text", "text": "Open a form" } } },
    ]});
    tell(call, "views.publish", vec![("user_id", user.to_owned()), ("view", view.to_string())]).await
}
