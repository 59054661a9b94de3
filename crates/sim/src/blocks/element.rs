//! Elements: what people use. Each is a field of its surface's form; a button says which was used.

use askama::Template;
use serde_json::Value;

use super::{Surface, text_html, words};

/// An element, ready to be shown.
#[derive(Template)]
#[template(ext = "html")]
pub(crate) enum Element {
    #[template(
        source = r#"{% if let Some(confirm) = confirm %}<details class="confirm"><summary class="button {{ style }}">{{ text }}</summary>
<div><p><strong>{{ confirm.title }}</strong></p><p>{{ confirm.html|safe }}</p><button name="use" value="{{ at }}" class="{{ style }}">{{ confirm.yes }}</button></div></details>
{% else %}<button name="use" value="{{ at }}" class="{{ style }}">{{ text }}</button>{% endif %}"#
    )]
    Button { at: String, text: String, style: &'static str, confirm: Option<Confirm> },
    #[template(
        source = r#"<span class="choice"><select id="{{ id }}" name="v.{{ at }}" aria-label="{{ label }}"{% if multiple %} multiple size="4"{% endif %}>
{% if !multiple %}<option value="">{{ label }}</option>{% endif %}
{% for option in options %}<option value="{{ option.value }}"{% if option.chosen %} selected{% endif %}>{{ option.text }}</option>{% endfor %}
</select>{% if goes %}<button name="use" value="{{ at }}" class="go">Choose</button>{% endif %}</span>"#
    )]
    Select { id: String, at: String, label: String, multiple: bool, options: Vec<Choice>, goes: bool },
    #[template(
        source = r#"<span class="choice external"><input name="q.{{ at }}" aria-label="Search: {{ label }}" placeholder="{{ label }}">
<button name="suggest" value="{{ at }}" class="quiet" formnovalidate>Search</button>
{% if let Some(select) = select %}{{ select|safe }}{% endif %}</span>"#
    )]
    External { at: String, label: String, select: Option<Box<Element>> },
    #[template(
        source = r#"<span class="choice" role="group" aria-label="{{ label }}">{% for option in options %}<label class="check"><input type="{{ kind }}" name="v.{{ at }}" value="{{ option.value }}"{% if option.chosen %} checked{% endif %}> {{ option.text }}</label>{% endfor %}
<input type="hidden" name="v.{{ at }}" value="">
{% if goes %}<button name="use" value="{{ at }}" class="go">Choose</button>{% endif %}</span>"#
    )]
    Checks { at: String, label: String, kind: &'static str, options: Vec<Choice>, goes: bool },
    #[template(
        source = r#"<span class="choice">{% if multiline %}<textarea id="{{ id }}" name="v.{{ at }}" rows="3" placeholder="{{ placeholder }}" aria-label="{{ label }}">{{ value }}</textarea>
{% else %}<input id="{{ id }}" type="{{ kind }}" name="v.{{ at }}" value="{{ value }}" placeholder="{{ placeholder }}" aria-label="{{ label }}">{% endif %}
{% if goes %}<button name="use" value="{{ at }}" class="go">Choose</button>{% endif %}</span>"#
    )]
    Typed {
        id: String,
        at: String,
        kind: &'static str,
        multiline: bool,
        value: String,
        placeholder: String,
        label: String,
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
    /// `goes`: using it tells the app at once.
    pub(super) fn of(at: String, element: &Value, surface: &Surface<'_>, goes: bool) -> Self {
        let kind = element["type"].as_str().unwrap_or_default();
        let held = surface.held(&at, element);
        let id = surface.field_id(&at);
        let placeholder = element.get("placeholder").map(words).unwrap_or_default();
        let action = element["action_id"].as_str().unwrap_or_default();
        let label = if placeholder.is_empty() { action.replace('_', " ") } else { placeholder.clone() };
        let multiple = kind.starts_with("multi_");
        let select = |options| Self::Select {
            id: id.clone(),
            at: at.clone(),
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
            label: label.clone(),
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
                let found = (!options.is_empty()).then(|| Box::new(select(choices(options, &held))));
                Self::External { at, label, select: found }
            }
            "users_select" => select(named(&surface.town.people, &held)),
            "conversations_select" | "channels_select" => select(named(&surface.town.channels, &held)),
            "checkboxes" => {
                Self::Checks { at, label, kind: "checkbox", options: choices(flat(element), &held), goes }
            }
            "radio_buttons" => {
                Self::Checks { at, label, kind: "radio", options: choices(flat(element), &held), goes }
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

fn named(entries: &[(String, String)], held: &[String]) -> Vec<Choice> {
    let choice = |(id, name): &(String, String)| Choice {
        value: id.clone(),
        text: name.clone(),
        chosen: held.contains(id),
    };
    entries.iter().map(choice).collect()
}
