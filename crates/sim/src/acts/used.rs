//! `POST /use`: a person uses something on a surface: a message, a modal, the Home tab. `POST /click`: the same
//! for programs, by action.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::interact::interact_or_tell;
use super::{
    Act, Found, NOT_FOUND, Place, act_ts, came_back, done, find, legacy, modal, read, suggest, trigger_id,
};
use crate::app::Sim;
use crate::blocks::placed::{self, Placed, Values};
use crate::desk::Desk;
use crate::response_url::{self, Origin};
use crate::world::Message;

/// Where something is used.
pub(super) enum Surface {
    Message(String),
    View(String),
    Home,
}

/// A form of a surface, and the button that was pressed in it.
struct Pressed {
    place: Place,
    surface: Surface,
    values: Values,
    queries: HashMap<String, String>,
    button: Button,
}

enum Button {
    Use(String),
    /// Of a legacy attachment.
    Press(String),
    Suggest(String),
    Submit,
    Close,
    CloseAll,
}

impl Pressed {
    fn read(body: &[u8]) -> Option<Self> {
        let mut place = Place { team: None, channel: super::general(), user: None };
        let (mut surface, mut button) = (None, None);
        let (mut values, mut queries) = (Values::new(), HashMap::new());
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                "team" => place.team = Some(value),
                "channel" => place.channel = value,
                "user" => place.user = Some(value),
                "ts" => surface = Some(Surface::Message(value)),
                "view_id" => surface = Some(Surface::View(value)),
                "home" => surface = Some(Surface::Home),
                "use" => button = Some(Button::Use(value)),
                "press" => button = Some(Button::Press(value)),
                "suggest" => button = Some(Button::Suggest(value)),
                "submit" => button = Some(Button::Submit),
                "close" => button = Some(Button::Close),
                "close_all" => button = Some(Button::CloseAll),
                other => {
                    if let Some(at) = other.strip_prefix("v.") {
                        values.entry(at.to_owned()).or_default().push(value);
                    } else if let Some(at) = other.strip_prefix("q.") {
                        queries.insert(at.to_owned(), value);
                    }
                }
            }
        }
        Some(Self { place, surface: surface?, values, queries, button: button? })
    }
}

pub(crate) async fn used(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = match Pressed::read(&body) {
        Some(pressed) => perform(&sim, pressed).await,
        None => Err((StatusCode::BAD_REQUEST, "invalid_arguments")),
    };
    done(&headers, outcome)
}

async fn perform(sim: &Sim, pressed: Pressed) -> Act {
    let Pressed { place, surface, values, mut queries, button } = pressed;
    let found = find(sim, &place)?;
    let on = On::find(sim, &found, &surface)?;
    // What was typed stays, whatever becomes of the act.
    let mut kept = values.clone();
    for placed in on.elements().iter().filter(|placed| placed.element["type"] == "overflow") {
        // A menu of actions holds nothing: the same may be chosen again.
        kept.remove(&placed.at);
    }
    kept.extend(queries.iter().map(|(at, query)| (format!("q.{at}"), vec![query.clone()])));
    sim.state().desk.drafts.insert(on.key.clone(), kept);
    match (button, &surface) {
        (Button::Use(at), _) => use_element(sim, &found, &on, &at, &values).await,
        (Button::Press(at), _) => match &on.message {
            Some(message) => legacy::press(sim, &found, message, &at, &values).await,
            None => Err((NOT_FOUND, "action_not_found")),
        },
        (Button::Suggest(at), _) => {
            let query = queries.remove(&at).unwrap_or_default();
            suggest::look_up(sim, &found, &on, &at, &query).await
        }
        (Button::Submit, Surface::View(id)) => modal::submit(sim, &found, id, &values).await,
        (Button::Close, Surface::View(id)) => modal::close(sim, &found, id, false).await,
        (Button::CloseAll, Surface::View(id)) => modal::close(sim, &found, id, true).await,
        _ => Err((StatusCode::BAD_REQUEST, "invalid_arguments")),
    }
}

#[derive(Deserialize)]
struct Clicked {
    #[serde(flatten)]
    place: Place,
    ts: Option<String>,
    view_id: Option<String>,
    action_id: String,
    /// What is chosen or typed: text, or an option.
    value: Option<Value>,
}

/// For programs: an element by its action, of a message or a view.
pub(crate) async fn click(State(sim): State<Arc<Sim>>, headers: HeaderMap, body: Bytes) -> Response {
    match read(&headers, &body) {
        Ok(clicked) => done(&headers, perform_click(&sim, clicked).await),
        Err(refusal) => *refusal,
    }
}

async fn perform_click(sim: &Sim, clicked: Clicked) -> Act {
    let found = find(sim, &clicked.place)?;
    let surface = match (clicked.ts, clicked.view_id) {
        (Some(ts), _) => Surface::Message(ts),
        (None, Some(id)) => Surface::View(id),
        (None, None) => Surface::Home,
    };
    let on = On::find(sim, &found, &surface)?;
    let at = {
        let placed = on.elements();
        let wanted = placed.iter().find(|placed| placed.element["action_id"] == clicked.action_id.as_str());
        wanted.map(|placed| placed.at.clone()).ok_or((NOT_FOUND, "action_not_found"))?
    };
    let value = clicked.value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let values = value.map(|value| Values::from([(at.clone(), vec![value])])).unwrap_or_default();
    use_element(sim, &found, &on, &at, &values).await
}

/// A surface with what stands on it.
pub(super) struct On {
    /// By which the desk knows it.
    pub(super) key: String,
    blocks: Value,
    message: Option<Message>,
    pub(super) view: Option<Value>,
}

impl On {
    fn find(sim: &Sim, found: &Found, surface: &Surface) -> Result<Self, (StatusCode, &'static str)> {
        let user = &found.person.id;
        if let Surface::Message(ts) = surface {
            let message = message_at(sim, found, ts)?;
            let (key, blocks) = (Desk::message(user, ts), message.blocks.clone());
            return Ok(Self { key, blocks, message: Some(message), view: None });
        }
        let mut guard = sim.state();
        let state = &mut *guard;
        let bot_id = found.bot.as_ref().map(|bot| bot.bot_id.as_str()).unwrap_or_default();
        if let Surface::View(id) = surface {
            let values = state.desk.values(id);
            let open =
                state.desk.view(id).filter(|open| open.user == *user).ok_or((NOT_FOUND, "view_not_found"))?;
            let view = open.payload(&found.app_id, bot_id, &values);
            return Ok(Self {
                key: id.clone(),
                blocks: open.view["blocks"].clone(),
                message: None,
                view: Some(view),
            });
        }
        let workspace = state.world.workspace(Some(&found.team)).ok_or((NOT_FOUND, "team_not_found"))?;
        let view = workspace.homes.get(user).cloned().ok_or((NOT_FOUND, "view_not_found"))?;
        let key = Desk::message(user, "home");
        Ok(Self { key, blocks: view["blocks"].clone(), message: None, view: Some(view) })
    }

    fn elements(&self) -> Vec<Placed<'_>> {
        match &self.message {
            Some(message) => placed::of_message(&self.blocks, &message.attachments),
            None => placed::elements(&self.blocks),
        }
    }

    pub(super) fn element(&self, at: &str) -> Result<Placed<'_>, (StatusCode, &'static str)> {
        self.elements().into_iter().find(|placed| placed.at == at).ok_or((NOT_FOUND, "action_not_found"))
    }

    /// Where it is, as interactions say it.
    pub(super) fn place(&self, payload: &mut Value, found: &Found) {
        match &self.message {
            Some(message) => {
                payload["container"] = json!({
                    "type": "message", "message_ts": message.ts, "channel_id": found.channel,
                    "is_ephemeral": message.ephemeral,
                });
                payload["channel"] = json!({ "id": found.channel, "name": found.channel_name });
                payload["message"] = json!(message);
            }
            None => {
                let view = self.view.clone().unwrap_or_default();
                payload["container"] = json!({ "type": "view", "view_id": view["id"] });
                payload["view"] = view;
            }
        }
    }
}

/// A message that a person sees.
pub(super) fn message_at(sim: &Sim, found: &Found, ts: &str) -> Result<Message, (StatusCode, &'static str)> {
    let mut state = sim.state();
    let channel =
        state.world.workspace(Some(&found.team)).and_then(|workspace| workspace.channel(&found.channel));
    let sees = |message: &&Message| message.visible_to.as_ref().is_none_or(|only| *only == found.person.id);
    let message =
        channel.and_then(|channel| channel.messages.iter().filter(sees).find(|message| message.ts == ts));
    message.cloned().ok_or((NOT_FOUND, "message_not_found"))
}

async fn use_element(sim: &Sim, found: &Found, on: &On, at: &str, values: &Values) -> Act {
    let mut payload = found.base("block_actions");
    on.place(&mut payload, found);
    let placed = on.element(at)?;
    let held = values.get(at).cloned().unwrap_or_else(|| placed::initial(placed.element));
    if placed::asks_for_a_choice(placed.element) && !placed::is_complete(placed.element, &held) {
        return Err((StatusCode::BAD_REQUEST, "nothing_chosen"));
    }
    payload["actions"] = json!([placed::action(&placed, &held, &act_ts())]);
    payload["state"] = placed::state(&on.blocks, values);
    payload["trigger_id"] = trigger_id(sim, found).into();
    if let Some(message) = &on.message {
        let origin = Origin::of(&found.team, &found.channel, &found.person.id).about(&message.ts);
        payload["response_url"] = response_url::make(sim, origin).into();
    }
    Ok(came_back(&interact_or_tell(sim, found, &payload).await))
}
