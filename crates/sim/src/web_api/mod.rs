//! The Web API: the methods that apps use most, one file for each family.

mod auth_revoke;
mod auth_test;
mod bots_info;
mod chat;
mod conversations;
mod files;
mod oauth_v2_access;
mod oauth_v2_exchange;
mod reactions;
mod users;
mod views;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::{Lost, Sim, lock};
use crate::journal::Entry;
use crate::state::State as Kept;
use crate::time::now_s;
use crate::weather::{Fate, Mishap};

/// What a method comes to: the fields beside `ok`, or Slack's error word with its fields.
type Outcome = Result<Value, Refused>;

/// A refusal.
pub(super) struct Refused {
    error: &'static str,
    more: Value,
}

fn refuse<T>(error: &'static str) -> Result<T, Refused> {
    Err(Refused { error, more: Value::Null })
}

/// The arguments of a call, however they were sent. Structured ones are values in JSON and text in forms.
pub(super) struct Args(HashMap<String, Value>);

impl Args {
    /// One argument.
    fn of(name: &str, value: &str) -> Self {
        Self(HashMap::from([(name.to_owned(), Value::from(value))]))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A structured argument.
    fn structured(&self, name: &str, error: &'static str) -> Result<Value, Refused> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Value::Null),
            Some(Value::String(json)) => serde_json::from_str(json).or_else(|_| refuse(error)),
            Some(value) => Ok(value.clone()),
        }
    }

    /// For the log: without the token.
    fn readable(&self) -> String {
        const SECRET: [&str; 5] = ["token", "client_secret", "code", "refresh_token", "code_verifier"];
        let shown = self.0.iter().filter(|(name, _)| !SECRET.contains(&name.as_str()));
        let shown = shown.map(|(name, value)| {
            let parsed = value.as_str().filter(|text| text.starts_with(['{', '[']));
            (name.clone(), parsed.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(value.clone()))
        });
        serde_json::to_string_pretty(&Value::Object(shown.collect())).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| *value == true || *value == "true" || *value == "1")
    }

    fn number(&self, name: &str) -> Option<usize> {
        let value = self.0.get(name)?;
        value.as_str().map_or_else(|| value.as_u64()?.try_into().ok(), |text| text.parse().ok())
    }
}

/// Methods whose answers hold tokens, and are not kept.
const HANDS_OUT_TOKENS: [&str; 2] = ["oauth.v2.access", "oauth.v2.exchange"];

/// Who calls: the bot of a workspace, or a person there.
pub(super) struct Acting {
    team: String,
    user: Option<String>,
}

pub(crate) use files::{download, upload};

pub(crate) async fn by_get(
    state: State<Arc<Sim>>,
    method: Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Bytes::from(query.unwrap_or_default());
    answered(&state, &method, &headers, form(&query), false).await
}

pub(crate) async fn by_post(
    state: State<Arc<Sim>>,
    method: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let args = if content_type.starts_with("application/json") {
        match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Args(fields.into_iter().collect()),
            Ok(_) => return answer(&Err(Refused { error: "json_not_object", more: Value::Null }), None),
            Err(_) => return answer(&Err(Refused { error: "invalid_json", more: Value::Null }), None),
        }
    } else {
        form(&body)
    };
    answered(&state, &method, &headers, args, !content_type.starts_with("application/json")).await
}

/// As the weather is.
async fn answered(
    sim: &Arc<Sim>,
    method: &str,
    headers: &HeaderMap,
    args: Args,
    token_in_body: bool,
) -> Response {
    let fate = {
        let mut state = sim.state();
        let team = bearer(headers).and_then(|token| Some(acting(&state, token).ok()?.team));
        let channel = args.text("channel").unwrap_or_default();
        lock(&sim.sky).fate(method, team.as_deref().unwrap_or_default(), channel, &mut state.rng)
    };
    match fate {
        Fate::Limited { retry_after_s, is_bare } => limited(retry_after_s, is_bare),
        Fate::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "<html>Something broke</html>").into_response(),
        Fate::Cut => lost(),
        Fate::DoneBut(mishap) => {
            call(sim, method, headers, args, token_in_body);
            match mishap {
                Mishap::Internal => answer(&refuse("internal_error"), None),
                Mishap::Lost => lost(),
                Mishap::Held => std::future::pending().await,
            }
        }
        Fate::Done => {
            let answer = call(sim, method, headers, args, token_in_body);
            sent(sim, method, answer).await
        }
    }
}

fn limited(retry_after_s: u32, is_bare: bool) -> Response {
    let mut response = match is_bare {
        true => Response::default(),
        false => answer(&refuse("ratelimited"), None),
    };
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// On its way, on which it may be lost.
async fn sent(sim: &Sim, method: &str, answer: Response) -> Response {
    match sim.loses(method) {
        None => answer,
        Some(Lost::Cut) => lost(),
        Some(Lost::Held) => std::future::pending().await,
    }
}

fn form(bytes: &[u8]) -> Args {
    let pairs = form_urlencoded::parse(bytes);
    Args(pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
}

fn call(sim: &Arc<Sim>, method: &str, headers: &HeaderMap, args: Args, token_in_body: bool) -> Response {
    if HANDS_OUT_TOKENS.contains(&method) {
        let outcome = match method {
            "oauth.v2.exchange" => oauth_v2_exchange::call(sim, headers, &args),
            _ => oauth_v2_access::call(sim, headers, &args),
        };
        return note(sim, method, String::new(), &outcome, None);
    }
    let sent = args.readable();
    // A form may carry the token; JSON and queries may not.
    let token = bearer(headers).or_else(|| args.text("token").filter(|_| token_in_body));
    let mut kept = sim.state();
    let acting = token.ok_or("not_authed").and_then(|token| acting(&kept, token));
    let sent = if acting.is_ok() { sent } else { String::new() };
    let (outcome, scopes) = match acting {
        Err(error) => (refuse(error), None),
        Ok(acting) => {
            let bot = kept.world.workspace(Some(&acting.team)).and_then(|workspace| workspace.bot.clone());
            let scopes = bot.map(|bot| bot.scopes).unwrap_or_default();
            (perform(&mut kept, method, &acting, &args, &scopes), Some(scopes.join(",")))
        }
    };
    drop(kept);
    note(sim, method, sent, &outcome, scopes)
}

fn acting(kept: &Kept, token: &str) -> Result<Acting, &'static str> {
    let hash = hash(token);
    let grant = kept.world.tokens.iter().find(|grant| grant.hash == hash).ok_or("invalid_auth")?;
    if grant.ends_at_s.is_some_and(|ends_at_s| now_s() >= ends_at_s) {
        return Err("token_expired");
    }
    Ok(Acting { team: grant.team.clone(), user: grant.user.clone() })
}

type Method = fn(&mut Kept, &Acting, &Args) -> Outcome;

/// The methods, each with the scopes of which one is needed.
fn perform(kept: &mut Kept, method: &str, acting: &Acting, args: &Args, scopes: &[String]) -> Outcome {
    let (needed, perform): (&[&str], Method) = match method {
        "auth.revoke" => (&[], auth_revoke::call),
        "auth.test" => (&[], auth_test::call),
        "bots.info" => (&["users:read"], bots_info::call),
        "chat.postMessage" => (&["chat:write"], chat::post_message),
        "chat.postEphemeral" => (&["chat:write"], chat::post_ephemeral),
        "chat.update" => (&["chat:write"], chat::update),
        "chat.delete" => (&["chat:write"], chat::delete),
        "conversations.list" => (&["channels:read"], conversations::list),
        "conversations.info" => (&["channels:read"], conversations::info),
        "conversations.history" => (&["channels:history"], conversations::history),
        "conversations.replies" => (&["channels:history"], conversations::replies),
        "conversations.open" => (&["im:write"], conversations::open),
        "users.info" => (&["users:read"], users::info),
        "users.lookupByEmail" => (&["users:read.email"], users::lookup_by_email),
        "reactions.add" => (&["reactions:write"], reactions::add),
        "reactions.remove" => (&["reactions:write"], reactions::remove),
        "files.getUploadURLExternal" => (&["files:write"], files::get_upload_url),
        "files.completeUploadExternal" => (&["files:write"], files::complete),
        "users.list" => (&["users:read"], users::list),
        "views.open" => (&[], views::open),
        "views.push" => (&[], views::push),
        "views.update" => (&[], views::update),
        "views.publish" => (&[], views::publish),
        "dialog.open" => (&[], views::dialog_open),
        _ => return refuse("unknown_method"),
    };
    if !needed.is_empty() && !needed.iter().any(|scope| scopes.iter().any(|granted| granted == scope)) {
        let more = json!({ "needed": needed.join(","), "provided": scopes.join(",") });
        return Err(Refused { error: "missing_scope", more });
    }
    perform(kept, acting, args)
}

/// Answers, and remembers that it did. What is remembered holds no token.
fn note(sim: &Sim, method: &str, sent: String, outcome: &Outcome, scopes: Option<String>) -> Response {
    let (error, told) = match outcome {
        Ok(_) if HANDS_OUT_TOKENS.contains(&method) => (None, "ok".to_owned()),
        Ok(fields) => (None, serde_json::to_string_pretty(fields).unwrap_or_default()),
        Err(refused) => {
            let more = serde_json::to_string_pretty(&refused.more).ok().filter(|_| !refused.more.is_null());
            (Some(refused.error.to_owned()), more.unwrap_or_default())
        }
    };
    sim.journal().add(Entry {
        what: method.to_owned(),
        status: Some(200),
        error,
        sent,
        answer: told,
        ..Entry::default()
    });
    answer(outcome, scopes)
}

/// The connection ends before the answer does.
fn lost() -> Response {
    let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "the answer was to be lost");
    Response::new(Body::from_stream(stream::iter([Ok(Bytes::from_static(b"{")), Err(cut)])))
}

fn answer(outcome: &Outcome, scopes: Option<String>) -> Response {
    let mut body = match outcome {
        Ok(fields) => fields.clone(),
        Err(refused) if refused.more.is_null() => json!({}),
        Err(refused) => refused.more.clone(),
    };
    body["ok"] = outcome.is_ok().into();
    if let Err(refused) = outcome {
        body["error"] = refused.error.into();
    }
    let mut response = Json(body).into_response();
    if let Some(scopes) = scopes.and_then(|scopes| HeaderValue::try_from(scopes).ok()) {
        response.headers_mut().insert("x-oauth-scopes", scopes);
    }
    response
}

/// What a token is known by.
pub(crate) fn hash(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}
