//! What Slack POSTs to an app: events, commands, interactions, options queries.
//!
//! [`read`] takes from a request the few facts that decide where it goes. Everything else stays in the bytes.

mod fallback;
mod form;
mod interaction;
mod kind;
mod origin;
mod outline;

use http::HeaderValue;
use serde_json::Value;

pub use fallback::{Shortfall, fallback};
pub use form::{is_ssl_check, payload, response_url};
pub use kind::Kind;
pub use origin::{InstallKey, Origin};

use crate::signing::VerifiedRequest;

/// A request as far as it needs to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// Slack asks whether this URL is ours; the challenge is to be repeated.
    UrlVerification {
        /// What to answer.
        challenge: String,
    },
    /// Something for the product.
    Request(Routing),
}

/// The facts by which a request is routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Which of Slack's ways of asking this is.
    pub kind: Kind,
    /// What is asked within the kind: an event's type, a command with its slash, an `action_id`, a
    /// `callback_id`. Empty when Slack names nothing.
    pub name: String,
    /// An event's `event_id`: unchanged across Slack's retries. Other kinds have none.
    pub event_id: Option<String>,
    /// The message that an event is about, as `channel/ts`. One mention comes as `app_mention` and as `message`: two
    /// events, two ids, and this in common.
    pub message: Option<String>,
    /// The installation that Slack names.
    pub origin: Origin,
}

/// Why a signed request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The body, or a form's `payload`, is not JSON in UTF-8.
    #[error("the body is not valid JSON")]
    NotJson,
    /// JSON, but a list, a number, a string …
    #[error("the JSON is not an object")]
    NotAnObject,
    /// An object without the field that says what it is.
    #[error("the JSON object has no \"type\"")]
    NoType,
    /// A `url_verification` with nothing to repeat.
    #[error("the url_verification has no \"challenge\"")]
    NoChallenge,
    /// A form that is neither a command nor an interaction.
    #[error("the form has neither \"command\" nor \"payload\"")]
    UnknownForm,
    /// The fields would contradict each other.
    #[error("the form repeats \"command\" or \"payload\"")]
    Repeated,
}

/// Reads a request's routing facts.
pub fn read(request: &VerifiedRequest) -> Result<Inbound, Unreadable> {
    read_again(request.content_type(), request.body())
}

/// Reads the routing facts of a request that was verified when it came, and kept since.
pub fn read_again(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Inbound, Unreadable> {
    if form::is_form(content_type, body) {
        return form::read(body).map(Inbound::Request);
    }
    let json = outline::read(body)?;
    match text(&json, "/type").ok_or(Unreadable::NoType)? {
        "url_verification" => {
            let challenge = text(&json, "/challenge").ok_or(Unreadable::NoChallenge)?.to_owned();
            Ok(Inbound::UrlVerification { challenge })
        }
        kind => Ok(Inbound::Request(Routing {
            kind: Kind::Event,
            // `app_rate_limited` comes without an inner event; its outer type is the event's type.
            name: name(text(&json, "/event/type").unwrap_or(kind)),
            event_id: text(&json, "/event_id").map(str::to_owned),
            message: message(&json),
            origin: Origin::of_event(&json),
        })),
    }
}

/// The message that an event is about, if it is about one.
fn message(json: &Value) -> Option<String> {
    let is_said = matches!(text(json, "/event/type")?, "message" | "app_mention");
    let (channel, ts) = (text(json, "/event/channel")?, text(json, "/event/ts")?);
    is_said.then(|| name(&format!("{channel}/{ts}")))
}

fn object(bytes: &[u8]) -> Result<Value, Unreadable> {
    match serde_json::from_slice(bytes) {
        Ok(json @ Value::Object(_)) => Ok(json),
        Ok(_) => Err(Unreadable::NotAnObject),
        Err(_) => Err(Unreadable::NotJson),
    }
}

/// The text at a path (`/event/type`, `/actions/0/action_id`), if it is text and not empty. A path is a JSON pointer
/// without escapes, which serde's own allocates for.
pub(crate) fn text<'v>(json: &'v Value, path: &str) -> Option<&'v str> {
    let step = |json: &'v Value, name: &str| match json {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        json => json.get(name),
    };
    path.split('/').skip(1).try_fold(json, step)?.as_str().filter(|text| !text.is_empty())
}

/// Slack's own bound for `action_id` and `callback_id` is 255 characters; nothing longer is a name.
const MAX_NAME_CHARS: usize = 255;

/// A name made safe to keep, list and log: bounded, and without control characters.
fn name(raw: &str) -> String {
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    raw.chars().take(MAX_NAME_CHARS).map(clean).collect()
}

#[cfg(test)]
mod tests;
