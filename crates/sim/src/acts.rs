//! What people do: say something, type a command, click. And, for what people cannot do, a bare event.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, http};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::Sim;
use crate::response_url;
use crate::sender::{Answer, Outgoing, send, send_event};
use crate::time::now_s;
use crate::world::{Bot, Message, Person, id};

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

#[derive(Deserialize)]
struct Say {
    #[serde(flatten)]
    place: Place,
    text: String,
}

/// `POST /say`: a person says something. The app hears it if it is in the workspace.
pub(crate) async fn say(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    act(&headers, &body, |say: Say| {
        let found = find(&sim, &say.place)?;
        let text = match &found.bot {
            Some(bot) => say
                .text
                .replace(&format!("@{}", sim.options.registration.bot_name), &format!("<@{}>", bot.user_id)),
            None => say.text,
        };
        let message = post(&sim, &found, &text)?;
        let Some(bot) = &found.bot else { return Ok(json!({ "ts": message.ts, "event_ids": [] })) };
        let mut event = json!({
            "type": "message", "channel_type": "channel", "channel": found.channel, "user": found.person.id,
            "text": message.text, "ts": message.ts, "event_ts": message.ts, "team": found.team,
        });
        let mut events = vec![envelope(&sim, &found, bot, &event)];
        if message.text.contains(&format!("<@{}>", bot.user_id)) {
            event["type"] = "app_mention".into();
            if let Some(fields) = event.as_object_mut() {
                fields.remove("channel_type");
            }
            events.push(envelope(&sim, &found, bot, &event));
        }
        events.iter().for_each(|event| send_event(&sim, event));
        let ids = events.iter().map(|event| event["event_id"].clone()).collect::<Vec<_>>();
        Ok(json!({ "ts": message.ts, "event_ids": ids }))
    })
    .await
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(flatten)]
    place: Place,
    event: Value,
}

/// `POST /event`: something happens that no person here can do.
pub(crate) async fn event(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    act(&headers, &body, |raw: RawEvent| {
        let found = find(&sim, &raw.place)?;
        let bot = found.bot.as_ref().ok_or((StatusCode::CONFLICT, "app_not_installed"))?;
        let envelope = envelope(&sim, &found, bot, &raw.event);
        send_event(&sim, &envelope);
        Ok(json!({ "event_ids": [envelope["event_id"]] }))
    })
    .await
}

#[derive(Deserialize)]
struct Typed {
    #[serde(flatten)]
    place: Place,
    command: String,
    #[serde(default)]
    text: String,
}

/// `POST /command`: a person types a command, and waits for what it says.
pub(crate) async fn command(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let typed: Typed = match read(&headers, &body) {
        Ok(typed) => typed,
        Err(refusal) => return *refusal,
    };
    let found = match find(&sim, &typed.place) {
        Ok(found) => found,
        Err(refusal) => return done(&headers, Err(refusal)),
    };
    let response_url = response_url::make(&sim, &found.team, &found.channel);
    let trigger_id = trigger_id(&sim);
    let fields = [
        ("token", "deprecated"),
        ("team_id", &found.team),
        ("team_domain", &found.domain),
        ("channel_id", &found.channel),
        ("channel_name", &found.channel_name),
        ("user_id", &found.person.id),
        ("user_name", &found.person.name),
        ("command", &typed.command),
        ("text", &typed.text),
        ("api_app_id", &found.app_id),
        ("is_enterprise_install", "false"),
        ("response_url", &response_url),
        ("trigger_id", &trigger_id),
    ];
    // What is typed is not retried: the person sees what became of it.
    let answer = send(&sim, &Outgoing::form("command", &fields), None).await;
    if let Ok(answer) = &answer
        && answer.status == 200
        && !answer.body.is_empty()
    {
        let said = serde_json::from_slice(&answer.body).ok().filter(Value::is_object);
        let text = || json!({ "text": String::from_utf8_lossy(&answer.body) });
        response_url::show(&sim, &found.team, &found.channel, &said.unwrap_or_else(text));
    }
    done(&headers, Ok(came_back(&answer)))
}

#[derive(Deserialize)]
struct Clicked {
    #[serde(flatten)]
    place: Place,
    ts: String,
    action_id: String,
}

/// `POST /click`: a person uses an element of a message.
pub(crate) async fn click(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let clicked: Clicked = match read(&headers, &body) {
        Ok(clicked) => clicked,
        Err(refusal) => return *refusal,
    };
    let payload = match block_actions(&sim, &clicked) {
        Ok(payload) => payload,
        Err(refusal) => return done(&headers, Err(refusal)),
    };
    let answer =
        send(&sim, &Outgoing::form("block_actions", &[("payload", &payload.to_string())]), None).await;
    done(&headers, Ok(came_back(&answer)))
}

fn block_actions(sim: &Sim, clicked: &Clicked) -> Act {
    let found = find(sim, &clicked.place)?;
    let message = {
        let mut state = sim.state();
        let channel =
            state.world.workspace(Some(&found.team)).and_then(|workspace| workspace.channel(&found.channel));
        let message =
            channel.and_then(|channel| channel.messages.iter().find(|message| message.ts == clicked.ts));
        message.cloned().ok_or((NOT_FOUND, "message_not_found"))?
    };
    let mut action = element(&message.blocks, &clicked.action_id).ok_or((NOT_FOUND, "action_not_found"))?;
    action["action_ts"] = message.ts.clone().into();
    Ok(json!({
        "type": "block_actions",
        "token": "deprecated",
        "api_app_id": found.app_id,
        "team": { "id": found.team, "domain": found.domain },
        "enterprise": null,
        "is_enterprise_install": false,
        "user": { "id": found.person.id, "username": found.person.name, "name": found.person.name, "team_id": found.team },
        "channel": { "id": found.channel, "name": found.channel_name },
        "container": { "type": "message", "message_ts": message.ts, "channel_id": found.channel, "is_ephemeral": message.ephemeral },
        "message": message,
        "state": { "values": {} },
        "actions": [action],
        "trigger_id": trigger_id(sim),
        "response_url": response_url::make(sim, &found.team, &found.channel),
    }))
}

/// An element of a message, with the block it stands in.
fn element(blocks: &Value, action_id: &str) -> Option<Value> {
    for block in blocks.as_array()? {
        let elements = block["elements"].as_array().into_iter().flatten().chain(block.get("accessory"));
        if let Some(element) = elements.into_iter().find(|element| element["action_id"] == action_id) {
            let mut element = element.clone();
            element["block_id"] = block["block_id"].as_str().unwrap_or("b1").into();
            return Some(element);
        }
    }
    None
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

fn post(sim: &Sim, found: &Found, text: &str) -> Result<Message, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let channel =
        state.world.workspace(Some(&found.team)).and_then(|workspace| workspace.channel(&found.channel));
    let message = channel.ok_or((NOT_FOUND, "channel_not_found"))?.post(Message {
        ts: String::new(),
        user: found.person.id.clone(),
        bot_id: None,
        text: text.to_owned(),
        blocks: Value::Null,
        thread_ts: None,
        ephemeral: false,
    });
    state.keep();
    Ok(message)
}

fn envelope(sim: &Sim, found: &Found, bot: &Bot, event: &Value) -> Value {
    let event_id = format!("Ev{}", id(&mut sim.state().rng, '0'));
    json!({
        "token": "deprecated",
        "team_id": found.team,
        "context_team_id": found.team,
        "context_enterprise_id": null,
        "api_app_id": found.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": now_s(),
        "authorizations": [{
            "enterprise_id": null, "team_id": found.team, "user_id": bot.user_id,
            "is_bot": true, "is_enterprise_install": false,
        }],
        "is_ext_shared_channel": false,
        "event_context": format!("4-{event_id}"),
    })
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

/// JSON for programs; back to the page for people.
fn done(headers: &HeaderMap, outcome: Act) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match outcome {
        Ok(_) if accept.contains("text/html") => Redirect::to("/").into_response(),
        Ok(mut done) => {
            done["ok"] = true.into();
            Json(done).into_response()
        }
        Err((status, error)) => (status, Json(json!({ "ok": false, "error": error }))).into_response(),
    }
}
