//! Rich text blocks as HTML.

use serde_json::Value;

use super::Names;
use super::mrkdwn::{emoji, escape, link};

/// A `rich_text` block's elements as HTML.
pub(super) fn html(elements: &Value, names: &Names) -> String {
    let each = elements.as_array().into_iter().flatten();
    each.map(|element| section(element, names)).collect()
}

fn section(element: &Value, names: &Names) -> String {
    let inside = || -> String {
        let each = element["elements"].as_array().into_iter().flatten();
        each.map(|part| part_html(part, names)).collect()
    };
    match element["type"].as_str().unwrap_or_default() {
        "rich_text_list" => {
            let tag = if element["style"] == "ordered" { "ol" } else { "ul" };
            let items = element["elements"].as_array().into_iter().flatten();
            let items = items.map(|item| format!("<li>{}</li>", section(item, names))).collect::<String>();
            format!("<{tag}>{items}</{tag}>")
        }
        "rich_text_quote" => format!("<blockquote>{}</blockquote>", inside()),
        "rich_text_preformatted" => format!("<pre>{}</pre>", inside()),
        _ => format!("<span class=\"rich\">{}</span>", inside()),
    }
}

fn part_html(part: &Value, names: &Names) -> String {
    let text = |field: &str| part[field].as_str().unwrap_or_default();
    let named = |sign: &str, id: &str| {
        format!("<span class=\"mention\">{sign}{}</span>", escape(names.of(id).unwrap_or(id)))
    };
    let html = match text("type") {
        "link" => link(text("url"), part["text"].as_str().unwrap_or(text("url"))),
        "user" => named("@", text("user_id")),
        "channel" => named("#", text("channel_id")),
        "usergroup" => named("@", text("usergroup_id")),
        "broadcast" => named("@", text("range")),
        "emoji" => emoji(&escape(&format!(":{}:", text("name")))),
        "date" => escape(part["fallback"].as_str().unwrap_or("a date")),
        _ => escape(text("text")).replace('\n', "<br>"),
    };
    let styled = |html: String, (name, tag): (&str, &str)| {
        if part["style"][name] == true { format!("<{tag}>{html}</{tag}>") } else { html }
    };
    [("code", "code"), ("bold", "strong"), ("italic", "em"), ("strike", "s")].into_iter().fold(html, styled)
}
