//! What Slack sent, laid out to be read.

use std::io;

use serde_json::Value;

/// A request's body, laid out.
pub(super) struct Payload {
    /// JSON with its lines broken; or a form's fields, one on a line.
    pub(super) readable: String,
    /// The bytes as they came.
    pub(super) raw: Option<String>,
}

impl Payload {
    /// For somebody who may speak to Slack, all of it.
    pub(super) fn of(content_type: Option<&str>, body: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(body).into_owned();
        let is_form = content_type.is_some_and(|text| text.contains("form-urlencoded"));
        let readable = if is_form { form(body) } else { json(&raw) };
        Self { readable: readable.unwrap_or_else(|| raw.clone()), raw: Some(raw) }
    }

    /// For somebody who may only look: whoever has a `response_url` can speak through it.
    pub(super) fn without_ways_to_speak(self) -> Self {
        let is_way = |line: &str| line.contains("response_url") || line.contains("trigger_id");
        let shown = |line: &str| {
            if !is_way(line) {
                return line.to_owned();
            }
            let indent = line.len() - line.trim_start().len();
            format!("{}(hidden: it speaks to Slack)", &line[..indent])
        };
        Self { readable: self.readable.lines().map(shown).collect::<Vec<_>>().join("\n"), raw: None }
    }
}

/// Laid out, JSON that nests deeply grows a hundredfold: then it is shown as it came.
const GROWS: usize = 6;
/// The column in which a form's values begin, at most.
const NAME_WIDTH: usize = 24;

/// A place for text that takes so much and no more.
struct Bounded {
    text: Vec<u8>,
    room: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON with its lines broken.
pub(super) fn json(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut laid_out = Bounded { text: Vec::new(), room: 1024 + text.len() * GROWS };
    serde_json::to_writer_pretty(&mut laid_out, &value).ok()?;
    String::from_utf8(laid_out.text).ok()
}

/// An interaction is the JSON in one field; a command is its fields.
fn form(body: &[u8]) -> Option<String> {
    let fields = form_urlencoded::parse(body).collect::<Vec<_>>();
    if let [(name, payload)] = fields.as_slice()
        && name == "payload"
    {
        return json(payload);
    }
    let width = fields.iter().map(|(name, _)| name.chars().count()).max()?.min(NAME_WIDTH);
    let lines = fields.iter().map(|(name, value)| format!("{name:width$}  {value}"));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(content_type: &str, body: &str) -> String {
        Payload::of(Some(content_type), body.as_bytes()).readable
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn what_can_be_laid_out_is() {
        assert_eq!(readable("application/json", r#"{"a":1}"#), "{\n  \"a\": 1\n}");
        assert_eq!(readable(FORM, "payload=%7B%22a%22%3A1%7D"), "{\n  \"a\": 1\n}");
        assert_eq!(readable(FORM, "command=%2Fx&text=a+b"), "command  /x\ntext     a b");
    }

    #[test]
    fn what_would_grow_without_measure_is_shown_as_it_came() {
        let nested = format!("{}{}{}", "[".repeat(100), vec!["0"; 5_000].join(","), "]".repeat(100));
        assert_eq!(readable("application/json", &nested), nested);
        let long = format!("{}=1&b=2", "a".repeat(5_000));
        assert!(readable(FORM, &long).len() < 5_100);
    }

    #[test]
    fn who_may_only_look_gets_no_way_to_speak() {
        let body = r#"{"a":1,"response_url":"https://hooks/1","x":[{"response_url":"https://hooks/2"}],"trigger_id":"1.2"}"#;
        for (content_type, body) in [
            ("application/json", body.to_owned()),
            (FORM, "text=x&response_url=https%3A%2F%2Fhooks%2F1&trigger_id=1.2".to_owned()),
        ] {
            let payload = Payload::of(Some(content_type), body.as_bytes()).without_ways_to_speak();
            assert!(payload.raw.is_none());
            assert!(
                !payload.readable.contains("hooks") && !payload.readable.contains("1.2"),
                "{}",
                payload.readable
            );
        }
        // What cannot be laid out stands on one line, and is hidden as a whole.
        let payload = Payload::of(Some(FORM), b"payload=%7Bresponse_url").without_ways_to_speak();
        assert!(!payload.readable.contains("payload"), "{}", payload.readable);
    }

    #[test]
    fn what_cannot_is_shown_as_it_came() {
        assert_eq!(readable("application/json", "not json"), "not json");
        assert_eq!(readable(FORM, "payload=not+json"), "payload=not+json");
        assert_eq!(readable(FORM, ""), "");
    }
}
