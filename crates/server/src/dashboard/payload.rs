//! What Slack sent, laid out to be read.

use serde_json::Value;

/// A request's body, laid out.
pub(super) struct Payload {
    /// JSON with its lines broken; or a form's fields, one on a line.
    pub(super) readable: String,
    /// The bytes as they came.
    pub(super) raw: String,
}

impl Payload {
    pub(super) fn of(content_type: Option<&str>, body: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(body).into_owned();
        let is_form = content_type.is_some_and(|text| text.contains("form-urlencoded"));
        let readable = if is_form { form(body) } else { json(&raw) };
        Self { readable: readable.unwrap_or_else(|| raw.clone()), raw }
    }
}

/// JSON with its lines broken.
pub(super) fn json(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

/// An interaction is the JSON in one field; a command is its fields.
fn form(body: &[u8]) -> Option<String> {
    let fields = form_urlencoded::parse(body).collect::<Vec<_>>();
    if let [(name, payload)] = fields.as_slice()
        && name == "payload"
    {
        return json(payload);
    }
    let width = fields.iter().map(|(name, _)| name.chars().count()).max()?;
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
    fn what_cannot_is_shown_as_it_came() {
        assert_eq!(readable("application/json", "not json"), "not json");
        assert_eq!(readable(FORM, "payload=not+json"), "payload=not+json");
        assert_eq!(readable(FORM, ""), "");
    }
}
