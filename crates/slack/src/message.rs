//! A message to be posted: what `chat.postMessage` takes, and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Token;
use crate::web_api::{Authorization, WebApiCall};

/// The arguments of `chat.postMessage`. What is inside blocks and attachments is carried, not modelled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PostMessage {
    /// A channel's id or name, or a user's id: Slack then opens the direct message itself.
    #[serde(default)]
    pub channel: String,
    /// The words. With blocks, what notifications and screen readers say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words in Markdown, instead of text and blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markdown_text: Option<String>,
    /// Block Kit blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<Value>>,
    /// Legacy attachments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
    /// The message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_ts: Option<String>,
    /// Whether an answer in a thread is shown in the channel as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_broadcast: Option<bool>,
    /// Data for other apps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Whether links are unfurled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfurl_links: Option<bool>,
    /// Whether media are unfurled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfurl_media: Option<bool>,
    /// Whether the text is mrkdwn; Slack takes it for that unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrkdwn: Option<bool>,
    /// How the text is parsed: `none` or `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parse: Option<String>,
    /// Whether names become links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_names: Option<bool>,
}

impl From<&str> for PostMessage {
    /// Words, and nothing else. The channel is still to be named.
    fn from(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }
}

impl From<String> for PostMessage {
    /// Words, and nothing else. The channel is still to be named.
    fn from(text: String) -> Self {
        Self { text: Some(text), ..Self::default() }
    }
}

/// Where Slack put a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// The channel's id.
    pub channel: String,
    /// Slack's name for the message within the channel.
    pub ts: String,
}

impl PostMessage {
    /// Whether there is anything to show: Slack refuses the rest with `no_text`.
    pub fn has_content(&self) -> bool {
        let is_some = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let any = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
        is_some(&self.text) || is_some(&self.markdown_text) || any(&self.blocks) || any(&self.attachments)
    }

    /// The call that posts it.
    pub fn call(self, token: Token) -> WebApiCall {
        let json = |list: Vec<Value>| Value::Array(list).to_string();
        let arguments = [
            ("channel", Some(self.channel)),
            ("text", self.text),
            ("markdown_text", self.markdown_text),
            ("blocks", self.blocks.map(json)),
            ("attachments", self.attachments.map(json)),
            ("thread_ts", self.thread_ts),
            ("reply_broadcast", self.reply_broadcast.map(|yes| yes.to_string())),
            ("metadata", self.metadata.map(|metadata| metadata.to_string())),
            ("unfurl_links", self.unfurl_links.map(|yes| yes.to_string())),
            ("unfurl_media", self.unfurl_media.map(|yes| yes.to_string())),
            ("mrkdwn", self.mrkdwn.map(|yes| yes.to_string())),
            ("parse", self.parse),
            ("link_names", self.link_names.map(|yes| yes.to_string())),
        ];
        WebApiCall {
            method: "chat.postMessage",
            authorization: Authorization::Bearer(token),
            form: arguments.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_travel_as_form_fields_structured_ones_as_json() {
        let message = PostMessage {
            channel: "C1".into(),
            text: Some("a & b".into()),
            blocks: Some(vec![json!({ "type": "divider" })]),
            unfurl_links: Some(false),
            ..PostMessage::default()
        };
        let call = message.call(Token::new("xoxb-1"));
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

    #[test]
    fn nothing_to_show_is_known() {
        let empty = PostMessage { text: Some(String::new()), blocks: Some(vec![]), ..PostMessage::default() };
        assert!(!empty.has_content());
        assert!(PostMessage { markdown_text: Some("x".into()), ..PostMessage::default() }.has_content());
    }
}
