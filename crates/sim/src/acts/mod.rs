//! What people do: say something, type a command, click. And, for what people cannot do, a bare event.

mod click;
mod command;
mod event;
mod say;

use axum::Json;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use self::click::click;
pub(crate) use self::command::command;
pub(crate) use self::event::event;
pub(crate) use self::say::say;
use crate::app::Sim;
use crate::sender::Answer;
use crate::world::{Bot, Person};

type Act = Result<Value, (StatusCode, &'static str)>;

const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

/// Where and by whom. Names or ids; without a team the connected workspace, without a user its first person.
#[derive(Deserialize)]
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
    person: Person,
    bot: Option<Bot>,
}

fn find(sim: &Sim, place: &Place) -> Result<Found, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let app_id = state.world.app_id.clone();
    let workspace = state.world.workspace(place.team.as_deref()).ok_or((NOT_FOUND, "team_not_found"))?;
    let person = workspace.person(place.user.as_deref()).cloned().ok_or((NOT_FOUND, "user_not_found"))?;
    let (team, domain, bot) = (workspace.id.clone(), workspace.domain.clone(), workspace.bot.clone());
    let channel = workspace.channel(&place.channel).ok_or((NOT_FOUND, "channel_not_found"))?;
    let (channel, channel_name) = (channel.id.clone(), channel.name.clone());
    Ok(Found { app_id, team, domain, channel, channel_name, person, bot })
}

fn trigger_id(sim: &Sim) -> String {
    let rng = &mut sim.state().rng;
    let (first, second) = (rng.u64(100_000_000..999_999_999), rng.u64(100_000_000..999_999_999));
    let tail = (0..32).map(|_| rng.digit(16)).collect::<String>();
    format!("{first}.{second}.{tail}")
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

/// Reads an act: JSON, or the form of the small page.
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

async fn act<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
    perform: impl FnOnce(T) -> Act,
) -> Response {
    match read(headers, body) {
        Ok(asked) => done(headers, perform(asked)),
        Err(refusal) => *refusal,
    }
}

/// The page of ours that a form was sent from: of the same workspace.
fn page_of(headers: &HeaderMap) -> String {
    let referrer =
        headers.get(header::REFERER).and_then(|value| value.to_str().ok()?.parse::<url::Url>().ok());
    referrer.and_then(|url| url.query().map(|query| format!("/?{query}"))).unwrap_or_else(|| "/".to_owned())
}

/// JSON for programs; back to the page for people.
fn done(headers: &HeaderMap, outcome: Act) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match outcome {
        Ok(_) if accept.contains("text/html") => Redirect::to(&page_of(headers)).into_response(),
        Ok(mut done) => {
            done["ok"] = true.into();
            Json(done).into_response()
        }
        Err((status, error)) => (status, Json(json!({ "ok": false, "error": error }))).into_response(),
    }
}
