//! What stands in a channel, read to find out whether a message of ours does.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Token;
use crate::outgoing::Arguments;
use crate::web_api::{Authorization, WebApiCall};

/// The `event_type` of the metadata by which a message of ours is known again.
const OURS: &str = "tautline_message";

/// A page of `conversations.history` or `.replies`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct History {
    /// Newest first (replies: oldest first).
    #[serde(default)]
    pub messages: Vec<Shown>,
    #[serde(default)]
    response_metadata: ResponseMetadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ResponseMetadata {
    next_cursor: Option<String>,
}

impl History {
    /// Where the next page begins, if there is one.
    pub fn next_cursor(&self) -> Option<&str> {
        self.response_metadata.next_cursor.as_deref().filter(|cursor| !cursor.is_empty())
    }
}

/// A message as Slack shows it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Shown {
    /// Its name within the channel.
    #[serde(default)]
    pub ts: String,
    /// Whose it is.
    pub user: Option<String>,
    /// The bot that said it.
    pub bot_id: Option<String>,
    /// The message that it answers.
    pub thread_ts: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    blocks: Vec<Value>,
    #[serde(default)]
    files: Vec<Value>,
    metadata: Option<Value>,
}

/// The method that tells what was said in a channel, or in one of its threads.
pub fn method(thread_ts: Option<&str>) -> &'static str {
    if thread_ts.is_some() { "conversations.replies" } else { "conversations.history" }
}

/// Asks for what was said in a channel, or in one of its threads, between two times.
pub fn between(
    token: Token,
    channel: &str,
    thread_ts: Option<&str>,
    (oldest_s, latest_s): (i64, i64),
    cursor: Option<&str>,
    limit: u32,
) -> WebApiCall {
    let mut form = vec![
        ("channel", channel.to_owned()),
        ("oldest", oldest_s.max(0).to_string()),
        ("latest", latest_s.to_string()),
        ("limit", limit.to_string()),
        ("include_all_metadata", "true".to_owned()),
    ];
    form.extend(thread_ts.map(|ts| ("ts", ts.to_owned())));
    form.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    WebApiCall { method: method(thread_ts), authorization: Authorization::Bearer(token), form }
}

/// The metadata by which a message is known again.
pub fn mark(id: &str) -> Value {
    json!({ "event_type": OURS, "event_payload": { "id": id } })
}

/// Whether there is anything by which what is sent is known again: our mark, files, words, or blocks.
pub fn can_be_known_again(sent: &Arguments) -> bool {
    let is_ours = sent.get("metadata").is_some_and(|metadata| metadata["event_type"] == OURS);
    let text = sent.get("text").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    is_ours || text || sent.contains_key("files") || sent.contains_key("blocks")
}

/// How sure it is that a message of Slack's is the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It is.
    Same,
    /// It says the same: it is, unless it is known to be another.
    Alike,
    /// It is not.
    Other,
}

impl Shown {
    /// Whether this is what was sent under an id: by our mark, where it carries one; else by the files it shows, or by its words
    /// as Slack rewrites them.
    pub fn likeness(&self, id: &str, sent: &Arguments) -> Likeness {
        if let Some(metadata) = self.metadata.as_ref().filter(|metadata| metadata["event_type"] == OURS) {
            return if metadata["event_payload"]["id"] == id { Likeness::Same } else { Likeness::Other };
        }
        if let Some(files) = sent.get("files").and_then(Value::as_array) {
            let is_shown = |file: &Value| self.files.iter().any(|shown| shown["id"] == file["id"]);
            return if files.iter().any(is_shown) { Likeness::Same } else { Likeness::Other };
        }
        let thread_ts = sent.get("thread_ts").and_then(Value::as_str);
        let is_of_thread = match thread_ts {
            Some(ts) => self.thread_ts.as_deref() == Some(ts),
            None => self.thread_ts.as_deref().is_none_or(|ts| ts == self.ts),
        };
        if is_of_thread && self.says_the_same(sent) { Likeness::Alike } else { Likeness::Other }
    }

    fn says_the_same(&self, sent: &Arguments) -> bool {
        if let Some(text) = sent.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            return plain(text) == plain(&self.text);
        }
        match sent.get("blocks").and_then(Value::as_array) {
            Some(blocks) => {
                let types =
                    |blocks: &[Value]| blocks.iter().map(|block| block["type"].clone()).collect::<Vec<_>>();
                types(blocks) == types(&self.blocks)
            }
            None => false,
        }
    }
}

/// A text without what Slack adds, takes away or writes in another way: links, escapes, emoji, space.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', ':']) {
        plain.push_str(&rest[..at]);
        let (skipped, shown) =
            if rest.as_bytes()[at] == b'<' { link(&rest[at..]) } else { emoji(&rest[at..]) };
        plain.push_str(shown);
        rest = &rest[at + skipped..];
    }
    plain.push_str(rest);
    let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let is_picture = |c: &char| matches!(u32::from(*c), 0x200D | 0x20E3 | 0x2190..=0x27BF | 0x2B00..=0x2BFF | 0xFE0F | 0x1_F000..);
    let words =
        plain.split_whitespace().map(|word| word.chars().filter(|c| !is_picture(c)).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `<target|label>` is the target, without the scheme that Slack adds to addresses.
fn link(text: &str) -> (usize, &str) {
    let Some(end) = text.find('>') else { return (1, "<") };
    let target = text[1..end].split('|').next().unwrap_or_default();
    if target.is_empty() || target.contains(char::is_whitespace) {
        return (1, "<");
    }
    (end + 1, target.strip_prefix("mailto:").or(target.strip_prefix("tel:")).unwrap_or(target))
}

/// `:name:` is a picture, and nothing.
fn emoji(text: &str) -> (usize, &str) {
    let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '+' | '\'');
    match text[1..].find(|c| !name(c)) {
        Some(end) if end > 0 && text[1 + end..].starts_with(':') => (end + 2, ""),
        _ => (1, ":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: Value) -> Shown {
        serde_json::from_value(message).unwrap()
    }

    fn sent(arguments: Value) -> Arguments {
        serde_json::from_value(arguments).unwrap()
    }

    #[test]
    fn a_mark_decides() {
        let there = shown(json!({ "ts": "1.1", "text": "a", "metadata": mark("msg_1") }));
        assert_eq!(there.likeness("msg_1", &sent(json!({ "text": "b" }))), Likeness::Same);
        assert_eq!(there.likeness("msg_2", &sent(json!({ "text": "a" }))), Likeness::Other);
        let theirs = json!({ "event_type": "deal_won", "event_payload": { "id": "msg_2" } });
        let there = shown(json!({ "ts": "1.1", "text": "a", "metadata": theirs }));
        assert_eq!(there.likeness("msg_1", &sent(json!({ "text": "a" }))), Likeness::Alike);
    }

    #[test]
    fn words_are_known_again_as_slack_writes_them() {
        for (sent_text, shown_text) in [
            ("see https://a.example/?x=1&y=2", "see <https://a.example/?x=1&amp;y=2>"),
            ("write to ada@a.example", "write to <mailto:ada@a.example|ada@a.example>"),
            ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
            ("done 🎉", "done :tada:"),
            ("  two  spaces ", "two spaces"),
            ("at 10:30", "at 10:30"),
            ("<https://a.example|here>", "<https://a.example|here>"),
        ] {
            let there = shown(json!({ "ts": "1.1", "text": shown_text }));
            assert_eq!(
                there.likeness("msg_1", &sent(json!({ "text": sent_text }))),
                Likeness::Alike,
                "{sent_text}"
            );
        }
        let there = shown(json!({ "ts": "1.1", "text": "deploy 41 done" }));
        assert_eq!(there.likeness("msg_1", &sent(json!({ "text": "deploy 42 done" }))), Likeness::Other);
    }

    #[test]
    fn what_shows_nothing_of_its_own_is_not_looked_for() {
        let theirs = json!({ "event_type": "deal_won", "event_payload": {} });
        assert!(can_be_known_again(&sent(json!({ "markdown_text": "x", "metadata": mark("msg_1") }))));
        assert!(can_be_known_again(&sent(json!({ "text": "x", "metadata": theirs }))));
        assert!(!can_be_known_again(&sent(json!({ "markdown_text": "x", "metadata": theirs }))));
        assert!(!can_be_known_again(&sent(json!({ "attachments": [{}], "metadata": theirs }))));
    }

    #[test]
    fn an_answer_is_not_the_message_that_it_answers_and_files_are_known_by_id() {
        let there = shown(json!({ "ts": "1.1", "text": "a", "thread_ts": "1.0" }));
        assert_eq!(there.likeness("msg_1", &sent(json!({ "text": "a" }))), Likeness::Other);
        assert_eq!(
            there.likeness("msg_1", &sent(json!({ "text": "a", "thread_ts": "1.0" }))),
            Likeness::Alike
        );
        let there = shown(json!({ "ts": "1.1", "text": "", "files": [{ "id": "F1" }] }));
        let files = |id: &str| sent(json!({ "files": [{ "id": id }], "initial_comment": "look" }));
        assert_eq!(there.likeness("msg_1", &files("F1")), Likeness::Same);
        assert_eq!(there.likeness("msg_1", &files("F2")), Likeness::Other);
    }
}
