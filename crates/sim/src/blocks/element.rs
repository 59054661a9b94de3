//! Elements: what people use. Each is a field of its surface's form; a button says which was used.

use askama::Template;
use serde_json::Value;

use super::mrkdwn::escape;
use super::{Surface, text_html, words};

/// An element, ready to be shown.
#[derive(Template)]
#[template(ext = "html")]
pub(crate) enum Element {
    #[template(
        source = r#"{% if let Some(confirm) = confirm %}<details class="confirm"><summary class="button {{ style }}">{{ text }}</summary>
<div><p><strong>{{ confirm.title }}</strong></p><p>{{ confirm.html|safe }}</p><button name="use" value="{{ at }}" class="{{ style }}">{{ confirm.yes }}</button></div></details>
{% else %}<span class="choice"><button name="use" value="{{ at }}" class="{{ style }}">{{ text }}</button>{% if let Some(url) = url %}<a href="{{ url }}" rel="noreferrer">opens a page</a>{% endif %}</span>{% endif %}"#
    )]
    Button { at: String, text: String, style: &'static str, url: Option<String>, confirm: Option<Confirm> },
    #[template(
        source = r#"<span class="choice"><select id="{{ id }}" name="v.{{ at }}" {{ named|safe }}{% if multiple %} multiple size="4"{% endif %}>
{% if !multiple %}<option value="">{{ label }}</option>{% endif %}
{% for option in options %}<option value="{{ option.value }}"{% if option.chosen %} selected{% endif %}>{{ option.text }}</option>{% endfor %}
</select>{% if goes %}<button name="use" value="{{ at }}" class="go">Choose</button>{% endif %}</span>"#
    )]
    Select {
        id: String,
        at: String,
        named: String,
        label: String,
        multiple: bool,
        options: Vec<Choice>,
        goes: bool,
    },
    #[template(
        source = r#"<span class="choice external"><input name="q.{{ at }}" value="{{ query }}" {{ named|safe }} placeholder="{{ label }}">
<button name="suggest" value="{{ at }}" class="quiet" formnovalidate>Search</button>
{% if let Some(select) = select %}{{ select|safe }}{% endif %}</span>"#
    )]
    External { at: String, named: String, label: String, query: String, select: Option<Box<Element>> },
    #[template(
        source = r#"<span class="choice" role="group" {{ named|safe }}>{% for option in options %}<label class="check"><input type="{{ kind }}" name="v.{{ at }}" value="{{ option.value }}"{% if option.chosen %} checked{% endif %}> {{ option.text }}</label>{% endfor %}
<input type="hidden" name="v.{{ at }}" value="">
{% if goes %}<button name="use" value="{{ at }}" class="go">Choose</button>{% endif %}</span>"#
    )]
    Checks { at: String, named: String, kind: &'static str, options: Vec<Choice>, goes: bool },
    #[template(
        source = r#"<span class="choice">{% if multiline %}<textarea id="{{ id }}" name="v.{{ at }}" rows="3" placeholder="{{ placeholder }}" {{ named|safe }}>{{ value }}</textarea>
{% else %}<input id="{{ id }}" type="{{ kind }}" name="v.{{ at }}" value="{{ value }}" placeholder="{{ placeholder }}" {{ named|safe }}>{% endif %}
{% if goes %}<button name="use" value="{{ at }}" class="go">Choose</button>{% endif %}</span>"#
    )]
    Typed {
        id: String,
        at: String,
        kind: &'static str,
        multiline: bool,
        value: String,
        placeholder: String,
        named: String,
        goes: bool,
    },
    #[template(source = r#"<span class="soft">[{{ alt }}]</span>"#)]
    Image { alt: String },
    #[template(source = r#"<span class="soft">[an element of the type {{ kind }}]</span>"#)]
    Other { kind: String },
}

/// What is asked before a button counts.
pub(crate) struct Confirm {
    title: String,
    html: String,
    yes: String,
}

/// Something to choose.
pub(crate) struct Choice {
    /// The option as the app wrote it: this is what goes back to it.
    value: String,
    text: String,
    chosen: bool,
}

impl Element {
    /// `goes`: using it tells the app at once. `labelled_by`: the id of the label that names it, if there is one.
    pub(super) fn of(
        at: String,
        element: &Value,
        surface: &Surface<'_>,
        goes: bool,
        labelled_by: Option<&str>,
    ) -> Self {
        let kind = element["type"].as_str().unwrap_or_default();
        let held = surface.held(&at, element);
        let id = surface.field_id(&at);
        let placeholder = element.get("placeholder").map(words).unwrap_or_default();
        let action = element["action_id"].as_str().unwrap_or_default();
        let label = if placeholder.is_empty() { action.replace('_', " ") } else { placeholder.clone() };
        let named = match labelled_by {
            Some(id) => format!("aria-labelledby=\"{id}\""),
            None => format!("aria-label=\"{}\"", escape(&label)),
        };
        let multiple = kind.starts_with("multi_");
        let select = |options| Self::Select {
            id: id.clone(),
            at: at.clone(),
            named: named.clone(),
            label: label.clone(),
            multiple,
            options,
            goes,
        };
        let typed = |kind, multiline| Self::Typed {
            id: id.clone(),
            at: at.clone(),
            kind,
            multiline,
            value: held.first().cloned().unwrap_or_default(),
            placeholder: placeholder.clone(),
            named: named.clone(),
            goes,
        };
        match kind.trim_start_matches("multi_") {
            "button" | "workflow_button" | "icon_button" => Self::Button {
                at,
                text: element.get("text").map(words).unwrap_or_else(|| action.to_owned()),
                style: match element["style"].as_str() {
                    Some("primary") => "primary",
                    Some("danger") => "danger",
                    _ => "quiet",
                },
                url: element["url"].as_str().filter(|url| url.starts_with("http")).map(str::to_owned),
                confirm: element.get("confirm").filter(|confirm| confirm.is_object()).map(|confirm| {
                    Confirm {
                        title: words(&confirm["title"]),
                        html: text_html(&confirm["text"], &surface.town.names),
                        yes: confirm.get("confirm").map_or_else(|| "Yes".to_owned(), words),
                    }
                }),
            },
            "static_select" | "overflow" => select(choices(flat(element), &held)),
            "external_select" => {
                let mut options = surface.suggested.get(&at).cloned().unwrap_or_default();
                for chosen in held.iter().filter_map(|value| serde_json::from_str::<Value>(value).ok()) {
                    if !options.contains(&chosen) {
                        options.insert(0, chosen);
                    }
                }
                let count = options.len();
                let found = (count > 0).then(|| {
                    let mut select = select(choices(options, &held));
                    if let Self::Select { label, .. } = &mut select {
                        *label = format!("{count} to choose from");
                    }
                    Box::new(select)
                });
                let query = surface.values.get(&format!("q.{at}")).and_then(|typed| typed.first()).cloned();
                Self::External { at, named, label, query: query.unwrap_or_default(), select: found }
            }
            "users_select" => select(entries(&surface.town.people, &held)),
            "conversations_select" | "channels_select" => select(entries(&surface.town.channels, &held)),
            "checkboxes" => {
                Self::Checks { at, named, kind: "checkbox", options: choices(flat(element), &held), goes }
            }
            "radio_buttons" => {
                Self::Checks { at, named, kind: "radio", options: choices(flat(element), &held), goes }
            }
            "datepicker" => typed("date", false),
            "timepicker" => typed("time", false),
            "datetimepicker" => typed("datetime-local", false),
            "plain_text_input" => typed("text", element["multiline"] == true),
            "rich_text_input" => typed("text", true),
            "email_text_input" => typed("email", false),
            "url_text_input" => typed("url", false),
            "number_input" => typed("number", false),
            "image" => Self::Image { alt: element["alt_text"].as_str().unwrap_or_default().to_owned() },
            _ => Self::Other { kind: kind.to_owned() },
        }
    }
}

/// The options, those of groups one after the other.
fn flat(element: &Value) -> Vec<Value> {
    let groups = element["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    element["options"].as_array().into_iter().flatten().chain(grouped).cloned().collect()
}

fn choices(options: Vec<Value>, held: &[String]) -> Vec<Choice> {
    let choice = |option: Value| {
        let value = option.to_string();
        Choice { text: words(&option["text"]), chosen: held.contains(&value), value }
    };
    options.into_iter().map(choice).collect()
}

fn entries(entries: &[(String, String)], held: &[String]) -> Vec<Choice> {
    let choice = |(id, name): &(String, String)| Choice {
        value: id.clone(),
        text: name.clone(),
        chosen: held.contains(id),
    };
    entries.iter().map(choice).collect()
}
