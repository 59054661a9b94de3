//! A message to be posted: what `chat.postMessage` takes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
