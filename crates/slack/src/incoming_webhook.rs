//! Incoming webhooks: a URL that is its own credential, and answers in plain text.

use serde_json::{Map, Value};

/// The JSON to post. `blocks` is left out when null.
pub fn payload(text: &str, blocks: Option<&Value>) -> Value {
    let mut payload = Map::from_iter([("text".to_owned(), Value::from(text))]);
    if let Some(blocks) = blocks.filter(|blocks| !blocks.is_null()) {
        payload.insert("blocks".to_owned(), blocks.clone());
    }
    Value::Object(payload)
}

/// Whether Slack took the message: 200, and for a webhook the bare text `ok`.
pub fn accepted(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Slack's error word in a refusal's body, when it is one (`no_service`, `invalid_payload` …). Anything else
/// is not repeated: it may be anybody's page.
pub fn error_word(body: &[u8]) -> Option<&str> {
    let word = std::str::from_utf8(body).ok()?.trim();
    let is_word =
        !word.is_empty() && word.len() <= 64 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_word.then_some(word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_payload_has_blocks_only_if_given() {
        assert_eq!(payload("t", None), json!({ "text": "t" }));
        assert_eq!(payload("t", Some(&Value::Null)), json!({ "text": "t" }));
        assert_eq!(payload("t", Some(&json!([]))), json!({ "text": "t", "blocks": [] }));
    }

    #[test]
    fn only_slacks_words_are_repeated() {
        assert_eq!(error_word(b"no_service\n"), Some("no_service"));
        assert_eq!(error_word(b"<html>secret</html>"), None);
        assert_eq!(error_word(b""), None);
    }
}
