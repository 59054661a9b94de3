//! Blocks.

use askama::Template;
use serde_json::Value;

use super::element::Element;
use super::placed::place;
use super::{Surface, mrkdwn, rich_text, text_html, words};

/// A block, ready to be shown. What is HTML was made safe where it was made.
#[derive(Template)]
#[template(ext = "html")]
pub(crate) enum Block {
    #[template(source = r#"<p class="b-header">{{ text }}</p>"#)]
    Header { text: String },
    #[template(source = "<hr>")]
    Divider,
    #[template(
        source = r#"<div class="b-section"><div class="b-text">{% if let Some(html) = html %}<p>{{ html|safe }}</p>{% endif %}
{% if !fields.is_empty() %}<div class="b-fields">{% for field in fields %}<p>{{ field|safe }}</p>{% endfor %}</div>{% endif %}</div>
{% if let Some(element) = accessory %}<div class="b-accessory">{{ element|safe }}</div>{% endif %}</div>"#
    )]
    Section { html: Option<String>, fields: Vec<String>, accessory: Option<Element> },
    #[template(
        source = r#"<figure>{% if let Some(title) = title %}<figcaption>{{ title }}</figcaption>{% endif %}
{% if let Some(url) = url %}<img src="{{ url }}" alt="{{ alt }}">{% else %}<p class="soft">[{{ alt }}]</p>{% endif %}</figure>"#
    )]
    Image { url: Option<String>, alt: String, title: Option<String> },
    #[template(
        source = r#"<div class="b-actions">{% for element in elements %}{{ element|safe }}{% endfor %}</div>"#
    )]
    Actions { elements: Vec<Element> },
    #[template(
        source = r#"<div class="b-context">{% for part in parts %}<span>{{ part|safe }}</span>{% endfor %}</div>"#
    )]
    Context { parts: Vec<String> },
    #[template(
        source = r#"<div class="b-input"><label id="{{ label_id }}"{% if let Some(field) = label_for %} for="{{ field }}"{% endif %}>{{ label }}{% if optional %} <span class="soft">(optional)</span>{% endif %}</label>
{{ element|safe }}
{% if let Some(hint) = hint %}<p class="soft">{{ hint }}</p>{% endif %}
{% if let Some(error) = error %}<p class="wrong" role="alert">{{ error }}</p>{% endif %}</div>"#
    )]
    Input {
        label_id: String,
        label_for: Option<String>,
        label: String,
        optional: bool,
        hint: Option<String>,
        error: Option<String>,
        element: Element,
    },
    #[template(source = r#"<div class="b-text">{{ html|safe }}</div>"#)]
    Html { html: String },
    #[template(
        source = r#"<table>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell|safe }}</td>{% endfor %}</tr>{% endfor %}</table>"#
    )]
    Table { rows: Vec<Vec<String>> },
    #[template(
        source = r#"<details class="soft"><summary>A block of the type <code>{{ kind }}</code>: shown as it came</summary><pre>{{ json }}</pre></details>"#
    )]
    Other { kind: String, json: String },
}

impl Block {
    pub(super) fn of(block: &Value, surface: &Surface<'_>) -> Self {
        let names = &surface.town.names;
        let each = |field: &str| block[field].as_array().into_iter().flatten();
        let text = |field: &str| block[field].as_str().map(str::to_owned);
        match block["type"].as_str().unwrap_or_default() {
            "header" => Self::Header { text: words(&block["text"]) },
            "divider" => Self::Divider,
            "section" => Self::Section {
                html: block.get("text").map(|text| text_html(text, names)),
                fields: each("fields").map(|field| text_html(field, names)).collect(),
                accessory: block
                    .get("accessory")
                    .map(|element| Element::of(place(block, element), element, surface, true, None)),
            },
            "image" => Self::Image {
                url: text("image_url").filter(|url| url.starts_with("http")),
                alt: text("alt_text").unwrap_or_default(),
                title: block.get("title").map(words),
            },
            "actions" | "context_actions" => Self::Actions {
                elements: each("elements")
                    .map(|element| Element::of(place(block, element), element, surface, true, None))
                    .collect(),
            },
            "context" => Self::Context {
                parts: each("elements")
                    .map(|part| match part["type"].as_str() {
                        Some("image") => {
                            format!("[{}]", mrkdwn::escape(part["alt_text"].as_str().unwrap_or_default()))
                        }
                        _ => text_html(part, names),
                    })
                    .collect(),
            },
            "input" => {
                let at = place(block, &block["element"]);
                let block_id = block["block_id"].as_str().unwrap_or_default();
                let field = surface.field_id(&at);
                let label_id = format!("{field}-label");
                let kind = block["element"]["type"].as_str().unwrap_or_default();
                // A group of boxes, and a search with its menu, are no single field that a label could be for.
                let is_one =
                    !matches!(kind, "checkboxes" | "radio_buttons") && !kind.ends_with("external_select");
                Self::Input {
                    label_for: is_one.then_some(field),
                    label: words(&block["label"]),
                    optional: block["optional"] == true,
                    hint: block.get("hint").map(words),
                    error: surface.errors.get(block_id).cloned(),
                    element: Element::of(
                        at,
                        &block["element"],
                        surface,
                        block["dispatch_action"] == true,
                        Some(&label_id),
                    ),
                    label_id: label_id.clone(),
                }
            }
            "rich_text" => Self::Html { html: rich_text::html(&block["elements"], names) },
            "markdown" => Self::Html { html: markdown(block["text"].as_str().unwrap_or_default()) },
            "video" => {
                let title = words(&block["title"]);
                Self::Html { html: mrkdwn::link(&text("video_url").unwrap_or_default(), &title) }
            }
            "table" => Self::Table {
                rows: each("rows")
                    .map(|row| {
                        let cells = row.as_array().into_iter().flatten();
                        cells.map(|cell| cell_html(cell, surface)).collect()
                    })
                    .collect(),
            },
            kind => Self::Other {
                kind: kind.to_owned(),
                json: serde_json::to_string_pretty(block).unwrap_or_default(),
            },
        }
    }
}

fn cell_html(cell: &Value, surface: &Surface<'_>) -> String {
    match cell["type"].as_str() {
        Some("rich_text") => rich_text::html(&cell["elements"], &surface.town.names),
        _ => mrkdwn::plain(cell["text"].as_str().unwrap_or_default()),
    }
}

/// Standard Markdown. What is HTML in it is shown as it was written.
fn markdown(text: &str) -> String {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let events = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let safe = events.map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::Link { dest_url, .. }) if !dest_url.starts_with("http") => {
            Event::Start(Tag::Link {
                link_type: pulldown_cmark::LinkType::Inline,
                dest_url: "#".into(),
                title: "".into(),
                id: "".into(),
            })
        }
        Event::Start(Tag::Image { .. }) => Event::Text("[".into()),
        Event::End(pulldown_cmark::TagEnd::Image) => Event::Text("]".into()),
        other => other,
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, safe);
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_brings_no_html_along() {
        let html = markdown("**b** <script>x</script> [l](javascript:x) ![i](https://x/y.png)\n\n<div>");
        assert!(html.contains("<strong>b</strong>"), "{html}");
        for tag in ["<script", "<div", "javascript:", "<img"] {
            assert!(!html.contains(tag), "{html}");
        }
    }
}
