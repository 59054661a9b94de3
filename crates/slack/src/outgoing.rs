//! Calls that say or change something, with their arguments as a JSON object: as they are accepted, and as they are kept.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Token;
use crate::web_api::{Authorization, WebApiCall};

/// The arguments of a method, by Slack's names.
pub type Arguments = Map<String, Value>;

/// The arguments that are passed on, in the order in which they are sent.
const PASSED: [&str; 20] = [
    "channel",
    "channel_id",
    "user",
    "ts",
    "timestamp",
    "name",
    "text",
    "markdown_text",
    "blocks",
    "attachments",
    "files",
    "initial_comment",
    "thread_ts",
    "reply_broadcast",
    "metadata",
    "unfurl_links",
    "unfurl_media",
    "mrkdwn",
    "parse",
    "link_names",
];

/// The call of a method with these arguments. Structured ones travel as JSON text, as in Slack's forms; null ones not at all.
pub fn call(method: &'static str, arguments: &Arguments, token: Token) -> WebApiCall {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let form = PASSED.iter().filter_map(|name| Some((*name, text(arguments.get(*name)?)?)));
    WebApiCall { method, authorization: Authorization::Bearer(token), form: form.collect() }
}

/// What Slack says of a call that it carried out; which of these depends on the method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Done {
    /// The channel's id.
    pub channel: Option<String>,
    /// Slack's name for the message within the channel.
    pub ts: Option<String>,
    /// The same, of `chat.postEphemeral`.
    pub message_ts: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_travel_as_form_fields_structured_ones_as_json() {
        let Value::Object(arguments) = json!({
            "unfurl_links": false, "text": "a & b", "channel": "C1", "blocks": [{ "type": "divider" }],
            "thread_ts": null, "token": "xoxb-of-somebody",
        }) else {
            panic!("an object")
        };
        let call = call("chat.postMessage", &arguments, Token::new("xoxb-1"));
        let form = call.form.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
        assert_eq!(
            form,
            [
                ("channel", "C1"),
                ("text", "a & b"),
                ("blocks", r#"[{"type":"divider"}]"#),
                ("unfurl_links", "false")
            ]
        );
        let Authorization::Bearer(token) = call.authorization else { panic!("a bearer") };
        assert_eq!(token.expose(), "xoxb-1");
    }
}
