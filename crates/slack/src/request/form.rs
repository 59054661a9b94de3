//! Form bodies: slash commands, and interactions in their `payload` field.

use std::borrow::Cow;

use http::HeaderValue;
use serde_json::Value;

use super::{Kind, Origin, Routing, Unreadable, interaction, name, object, text};

/// Whether the body is a form. Parameters such as `; charset=utf-8` do not matter; without a content type the
/// first byte decides.
pub(super) fn is_form(content_type: Option<&HeaderValue>, body: &[u8]) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    match essence.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        Some("application/x-www-form-urlencoded") => true,
        Some("application/json") => false,
        _ => !body.trim_ascii_start().starts_with(b"{"),
    }
}

/// Whether this is Slack's occasional certificate check, which comes unsigned: a form in which `ssl_check` is
/// exactly `1`. It is answered 200 and **nothing else in it is looked at**: a bypass that went on to read the
/// body let anybody inject `ssl_check=1&payload={…}` into Bolt JS.
pub fn is_ssl_check(content_type: Option<&HeaderValue>, body: &[u8]) -> bool {
    is_form(content_type, body) && {
        let mut checks = form_urlencoded::parse(body).filter(|(field, _)| field == "ssl_check");
        matches!((checks.next(), checks.next()), (Some((_, value)), None) if value == "1")
    }
}

pub(super) fn read(body: &[u8]) -> Result<Routing, Unreadable> {
    let mut form = Form::default();
    for (field, value) in form_urlencoded::parse(body) {
        form.set(&field, value)?;
    }
    match form {
        Form { payload: Some(payload), .. } => interaction::read(payload.as_bytes()),
        Form { command: Some(command), .. } => Ok(Routing {
            kind: Kind::Command,
            name: name(&command),
            event_id: None,
            message: None,
            origin: Origin::of_command(
                form.api_app_id.as_deref(),
                form.team_id.as_deref(),
                form.enterprise_id.as_deref(),
                // The text "true", not a JSON truth.
                form.is_enterprise_install.as_deref() == Some("true"),
            ),
        }),
        Form { .. } => Err(Unreadable::UnknownForm),
    }
}

/// Where words may follow a command or an interaction: for 30 minutes, five times at most.
pub fn response_url(content_type: Option<&HeaderValue>, body: &[u8]) -> Option<String> {
    if !is_form(content_type, body) {
        return None;
    }
    let field = |wanted: &str| {
        form_urlencoded::parse(body).find(|(field, _)| field == wanted).map(|(_, value)| value)
    };
    match field("payload") {
        Some(payload) => text(&object(payload.as_bytes()).ok()?, "/response_url").map(str::to_owned),
        None => field("response_url").map(Cow::into_owned),
    }
}

/// What Slack says, as one JSON object: an event's envelope, an interaction's payload, a command's fields. `None` if it
/// cannot be read.
pub fn payload(content_type: Option<&HeaderValue>, body: &[u8]) -> Option<Value> {
    if !is_form(content_type, body) {
        return object(body).ok();
    }
    let fields = || form_urlencoded::parse(body);
    match fields().find(|(field, _)| field == "payload") {
        Some((_, payload)) => object(payload.as_bytes()).ok(),
        None => {
            Some(fields().map(|(name, value)| (name.into_owned(), Value::from(value.as_ref()))).collect())
        }
    }
}

#[derive(Default)]
struct Form<'b> {
    payload: Option<Cow<'b, str>>,
    command: Option<Cow<'b, str>>,
    api_app_id: Option<Cow<'b, str>>,
    team_id: Option<Cow<'b, str>>,
    enterprise_id: Option<Cow<'b, str>>,
    is_enterprise_install: Option<Cow<'b, str>>,
}

impl<'b> Form<'b> {
    fn set(&mut self, field: &str, value: Cow<'b, str>) -> Result<(), Unreadable> {
        let (slot, once) = match field {
            "payload" => (&mut self.payload, true),
            "command" => (&mut self.command, true),
            "api_app_id" => (&mut self.api_app_id, false),
            "team_id" => (&mut self.team_id, false),
            "enterprise_id" => (&mut self.enterprise_id, false),
            "is_enterprise_install" => (&mut self.is_enterprise_install, false),
            _ => return Ok(()),
        };
        if once && slot.is_some() {
            return Err(Unreadable::Repeated);
        }
        *slot = Some(value);
        Ok(())
    }
}
