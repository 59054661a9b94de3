//! `/messages`: the list, and a form to send one.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tautline_core::access::Scope;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::outbox::{Message, MessageFilter, MessageState};
use tautline_core::{MessageId, Timestamp, limits, new_secret};
use tautline_slack::message::PostMessage;
use tautline_slack::outgoing::Arguments;

use super::state_badge;
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::{SignedIn, Submitted};
use crate::dashboard::bits::{Badge, Moment};
use crate::dashboard::frame::{Frame, Section};
use crate::error::{ApiError, ApiQuery};
use crate::installations::health;
use crate::outbound::accept::{Address, Wish, accept};
use crate::page::{PageResult, render};

#[derive(Template)]
#[template(path = "messages.html")]
struct Messages {
    frame: Frame,
    rows: Vec<Row>,
    states: Vec<StateOption>,
    is_filtered: bool,
    /// How many are queued.
    waiting: u32,
    /// The query of the next page.
    older: Option<String>,
    /// Where one can send to: place and name.
    workspaces: Vec<(String, String)>,
    may_send: bool,
    draft: Draft,
    /// What was wrong with the draft, and what to do.
    problem: Option<(String, String)>,
    /// Ties the form to one message, however often it is sent.
    once: String,
    public_url: String,
}

/// What is shown of a message in the list.
const WORDS_CHARS: usize = 120;

struct StateOption {
    name: &'static str,
    chosen: bool,
}

struct Row {
    id: MessageId,
    channel: String,
    /// How it begins.
    words: String,
    state: Badge,
    error: Option<String>,
    /// When its channel moves again, if that is not at once.
    next: Option<Moment>,
    accepted: Moment,
}

#[derive(Default, Deserialize)]
pub(in crate::dashboard) struct Draft {
    #[serde(default)]
    team: String,
    channel: String,
    text: String,
    once: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::dashboard) struct Asked {
    state: String,
    cursor: String,
}

pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    who: SignedIn,
    ApiQuery(asked): ApiQuery<Asked>,
) -> PageResult<Response> {
    let draft = Draft { channel: "#general".into(), ..Draft::default() };
    the_page(&app, &who, &asked, draft, None).await
}

async fn the_page(
    app: &App,
    who: &SignedIn,
    asked: &Asked,
    draft: Draft,
    problem: Option<ApiError>,
) -> PageResult<Response> {
    let tenant = who.may(Scope::Read)?;
    let filter = MessageFilter { state: MessageState::from_name(&asked.state) };
    let found = app.store.messages(tenant, filter, page(None, Some(&asked.cursor))?).await?;
    let workspaces = app.store.installations(tenant, page(Some(limits::PAGE_MAX), None)?).await?.items;
    let now = app.clock.now();
    let status = problem.as_ref().map_or(StatusCode::OK, ApiError::status);
    let page = Messages {
        frame: Frame::of(app, who, Section::Messages).await?,
        rows: found.items.into_iter().map(|message| row(message, now)).collect(),
        states: MessageState::ALL
            .map(|state| StateOption { name: state.as_str(), chosen: filter.state == Some(state) })
            .into(),
        is_filtered: filter.state.is_some(),
        waiting: app.store.messages_waiting(tenant).await?,
        older: found.next.map(|cursor| {
            let pairs = [("state", asked.state.as_str()), ("cursor", &cursor.encode())];
            form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        }),
        workspaces: workspaces.iter().filter_map(|each| Some((place(each)?, health::name(each)))).collect(),
        may_send: who.can(Scope::Send),
        draft,
        problem: problem
            .map(|error| (error.text().to_owned(), error.fix_text().unwrap_or_default().to_owned())),
        once: new_secret(app.rng.as_ref()),
        public_url: app.settings.public_url.as_str().trim_end_matches('/').to_owned(),
    };
    Ok(render(status, &page))
}

fn place(installation: &tautline_core::installation::Installation) -> Option<String> {
    let key = installation.facts.key().ok()?.to_string();
    key.split_once('/').map(|(_, place)| place.to_owned())
}

fn row(message: Message, now: Timestamp) -> Row {
    let said = serde_json::from_slice::<PostMessage>(&message.arguments).unwrap_or_default();
    let words = said.text.or(said.markdown_text).unwrap_or_default();
    Row {
        words: words.chars().take(WORDS_CHARS).collect(),
        id: message.id,
        channel: message.channel,
        state: state_badge(message.state),
        error: message.error,
        next: message.next_at.filter(|at| *at > now).map(|at| Moment::of(at, now)),
        accepted: Moment::of(message.accepted_at, now),
    }
}

/// `POST /messages`: the form.
pub(in crate::dashboard) async fn send(
    State(app): State<Arc<App>>,
    submitted: Submitted<Draft>,
) -> PageResult<Response> {
    let Submitted { who, form: draft } = submitted;
    let tenant = who.may(Scope::Send)?;
    let place = Some(draft.team.clone()).filter(|team| !team.is_empty());
    let words = Arguments::from_iter([("text".to_owned(), draft.text.clone().into())]);
    let wish = Wish { place, ..Wish::post(Address::Channel(draft.channel.trim().to_owned()), words) };
    let once = once(&who, &draft, app.clock.now());
    match accept(&app, tenant, wish, once).await {
        Ok((id, _)) => Ok(Redirect::to(&format!("/messages/{id}")).into_response()),
        Err(error) if error.code() == "idempotency_conflict" => {
            let again =
                ApiError::new(error.status(), error.code(), "this form was sent before, with other words")
                    .fix("What it sent then is listed below. Press Send to send this as well.");
            the_page(&app, &who, &Asked::default(), draft, Some(again)).await
        }
        Err(error) if error.status().is_client_error() => {
            the_page(&app, &who, &Asked::default(), draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// A button pressed twice sends one message.
fn once(who: &SignedIn, draft: &Draft, at: Timestamp) -> Option<IdempotencyKey> {
    let scope = format!("{}|{}|dashboard", who.name(), who.tenant());
    let words = [draft.team.as_str(), &draft.channel, &draft.text].join("\0");
    let fits = !draft.once.is_empty() && draft.once.len() <= limits::IDEMPOTENCY_KEY_BYTES;
    fits.then(|| IdempotencyKey { scope, key: draft.once.clone(), request: Sha256::digest(words).into(), at })
}
