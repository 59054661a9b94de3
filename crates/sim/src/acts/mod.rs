//! What people do: say something, type a command, use an element, fill in a modal. And, for what people cannot
//! do, bare events and interactions.

mod channels;
mod command;
mod compose;
mod event;
mod home;
mod interact;
mod interaction;
mod legacy;
pub(crate) mod modal;
mod say;
mod shortcut;
mod suggest;
mod tokens;
mod uninstall;
mod used;
mod weather;

use askama::Template;
use axum::Json;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use self::channels::channels;
pub(crate) use self::command::command;
pub(crate) use self::compose::compose;
pub(crate) use self::event::event;
pub(crate) use self::home::home;
pub(crate) use self::interaction::interaction;
pub(crate) use self::say::say;
pub(crate) use self::shortcut::shortcut;
pub(crate) use self::tokens::{expire, lose};
pub(crate) use self::uninstall::uninstall;
pub(crate) use self::used::{click, used};
pub(crate) use self::weather::{looked_at, weather};
use crate::app::Sim;
use crate::sender::Answer;
use crate::world::{Bot, Person};

type Act = Result<Value, (StatusCode, &'static str)>;

const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

/// Where and by whom. Names or ids; without a team the connected workspace, without a user its first person.
#[derive(Clone, Deserialize)]
struct Place {
    team: Option<String>,
    #[serde(default = "general")]
    channel: String,
    user: Option<String>,
}

fn general() -> String {
    "general".to_owned()
}

struct Found {
    app_id: String,
    team: String,
    domain: String,
    channel: String,
    channel_name: String,
    /// Whether the channel is a direct message with the app.
    is_direct: bool,
    person: Person,
    bot: Option<Bot>,
}

impl Found {
    /// What every interaction says of where it comes from.
    fn base(&self, kind: &str) -> Value {
        json!({
            "type": kind,
            "token": "deprecated",
            "api_app_id": self.app_id,
            "team": { "id": self.team, "domain": self.domain },
            "enterprise": null,
            "is_enterprise_install": false,
            "user": {
                "id": self.person.id, "username": self.person.name, "name": self.person.name, "team_id": self.team,
            },
        })
    }
}

fn find(sim: &Sim, place: &Place) -> Result<Found, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let app_id = state.world.app_id.clone();
    let workspace = state.world.workspace(place.team.as_deref()).ok_or((NOT_FOUND, "team_not_found"))?;
    let person = workspace.person(place.user.as_deref()).cloned().ok_or((NOT_FOUND, "user_not_found"))?;
    let (team, domain, bot) = (workspace.id.clone(), workspace.domain.clone(), workspace.bot.clone());
    let channel = workspace.channel(&place.channel).ok_or((NOT_FOUND, "channel_not_found"))?;
    if channel.with.as_ref().is_some_and(|with| *with != person.id) {
        return Err((NOT_FOUND, "channel_not_found"));
    }
    let is_direct = channel.with.is_some();
    let (channel, name) = (channel.id.clone(), channel.name.clone());
    let channel_name = if is_direct { "directmessage".to_owned() } else { name };
    Ok(Found { app_id, team, domain, channel, channel_name, is_direct, person, bot })
}

/// A trigger that a person pulled just now: good for one modal, for three seconds.
fn trigger_id(sim: &Sim, found: &Found) -> String {
    let mut state = sim.state();
    let rng = &mut state.rng;
    let (first, second) = (rng.u64(100_000_000..999_999_999), rng.u64(100_000_000..999_999_999));
    let tail = (0..32).map(|_| rng.digit(16)).collect::<String>();
    let id = format!("{first}.{second}.{tail}");
    let life = sim.options.patience.unwrap_or(state.temper.trigger_life);
    state.desk.trigger(&id, &found.team, &found.person.id, life);
    id
}

/// Seconds and microseconds, as Slack writes times of acts.
fn act_ts() -> String {
    let now = crate::time::now_us();
    format!("{}.{:06}", now / 1_000_000, now % 1_000_000)
}

fn came_back(answer: &Result<Answer, &'static str>) -> Value {
    match answer {
        Ok(answer) => json!({
            "status": answer.status,
            "content_type": answer.content_type,
            "body": String::from_utf8_lossy(&answer.body),
        }),
        // What the person sees.
        Err(_) => json!({ "error": "operation_timeout" }),
    }
}

/// The JSON that an app answered, if it did.
fn answered_json(answer: &Result<Answer, &'static str>) -> Option<Value> {
    let answer = answer.as_ref().ok().filter(|answer| answer.status == 200)?;
    serde_json::from_slice(&answer.body).ok().filter(Value::is_object)
}

/// Reads an act: JSON, or a form of the face.
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Box<Response>> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let fields = if content_type.starts_with("application/json") {
        serde_json::from_slice(body).ok()
    } else {
        let filled = form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty());
        Some(filled.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
    };
    let read = fields.map(Value::Object).and_then(|fields| serde_json::from_value(fields).ok());
    read.ok_or_else(|| {
        let error = json!({ "ok": false, "error": "invalid_arguments" });
        Box::new((StatusCode::BAD_REQUEST, Json(error)).into_response())
    })
}

/// JSON that a person wrote into a form: an object, or the text of one.
fn object(value: &Value) -> Result<Value, (StatusCode, &'static str)> {
    let read = match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    };
    read.filter(Value::is_object).ok_or((StatusCode::BAD_REQUEST, "json_not_object"))
}

/// The page of ours that a form was sent from.
fn page_of(headers: &HeaderMap) -> String {
    let referrer =
        headers.get(header::REFERER).and_then(|value| value.to_str().ok()?.parse::<url::Url>().ok());
    let query = referrer.and_then(|url| url.query().map(|query| format!("?{query}"))).unwrap_or_default();
    // To the composer: what is new stands above it.
    format!("/{query}#text")
}

/// What a person reads when something is refused.
#[derive(Template)]
#[template(path = "oops.html")]
pub(crate) struct Oops {
    error: &'static str,
    hint: &'static str,
    back: String,
}

impl Oops {
    /// A workspace, person or channel of an old link.
    pub(crate) fn not_here() -> Self {
        Self { error: "channel_not_found", hint: hint("channel_not_found"), back: "/".to_owned() }
    }

    /// An address that is no page.
    pub(crate) fn no_page() -> Self {
        Self { error: "page_not_found", hint: "There is nothing at this address.", back: "/".to_owned() }
    }
}

fn hint(error: &str) -> &'static str {
    match error {
        "app_not_installed" => "The app is not in this workspace yet: connect it in the gateway's dashboard.",
        "not_in_thread" => "Slack takes no commands in threads: leave the thread first.",
        "nothing_chosen" => "Choose something first.",
        "team_not_found" | "user_not_found" | "channel_not_found" => "It is not here (any more).",
        "json_not_object" | "no_type" => "Write one JSON object, with a type.",
        "message_not_found" | "view_not_found" | "action_not_found" => "It is gone, or it changed meanwhile.",
        _ => "",
    }
}

/// JSON for programs; back to the page for people.
fn done(headers: &HeaderMap, outcome: Act) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match outcome {
        Err((status, error)) if accept.contains("text/html") => {
            let page = Oops { error, hint: hint(error), back: page_of(headers) };
            (status, crate::face::html(&page)).into_response()
        }
        Ok(_) if accept.contains("text/html") => Redirect::to(&page_of(headers)).into_response(),
        Ok(mut done) => {
            done["ok"] = true.into();
            Json(done).into_response()
        }
        Err((status, error)) => (status, Json(json!({ "ok": false, "error": error }))).into_response(),
    }
}
