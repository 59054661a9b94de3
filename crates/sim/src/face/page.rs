//! `GET /`: the page. `?team=…&channel=…&user=…` say where and as whom.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::conversation::{Here, Line, conversation};
use super::html;
use super::modal::{Modal, modal};
use crate::app::Sim;
use crate::blocks::{self, Block, Names, Surface, Town};
use crate::desk::Desk;
use crate::journal::Entry;
use crate::limits;
use crate::world::{Channel, Person, Workspace};

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    gateway: String,
    bot_name: String,
    here: Here,
    workspace: String,
    workspaces: Vec<Link>,
    people: Vec<Link>,
    channels: Vec<Link>,
    direct: Option<Link>,
    is_connected: bool,
    /// The person who looks.
    real_name: String,
    title: String,
    is_home: bool,
    home: Vec<Block>,
    lines: Vec<Line>,
    /// Whether earlier ones are not shown.
    is_cut: bool,
    thread: Option<String>,
    leave_thread: String,
    modal: Option<Modal>,
    suggestions: Vec<String>,
    log: Vec<Entry>,
    version: u64,
}

struct Link {
    href: String,
    text: String,
    current: bool,
}

/// The same person elsewhere.
fn at(here: &Here, channel: &str) -> String {
    Here { channel: channel.to_owned(), ..here.clone() }.href()
}

/// Another person here. A direct message is one's own: whoever comes begins in the first channel.
fn by(here: &Here, user: &str) -> String {
    let channel = if here.channel.starts_with('D') { "general" } else { &here.channel };
    Here { user: user.to_owned(), channel: channel.to_owned(), ..here.clone() }.href()
}

pub(crate) async fn index(
    State(sim): State<Arc<Sim>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match page(&sim, &query) {
        Some(page) => html(&page),
        None => (StatusCode::NOT_FOUND, html(&crate::acts::Oops::not_here())).into_response(),
    }
}

fn page(sim: &Sim, query: &HashMap<String, String>) -> Option<Index> {
    let asked = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (mut log, logged) = {
        let journal = sim.journal();
        (journal.entries(), journal.count())
    };
    log.reverse();
    log.truncate(limits::LOG_SHOWN);
    let registration = &sim.options.registration;
    let mut guard = sim.state();
    let version = logged + guard.changed();
    let state = &mut *guard;
    let all = state.world.workspaces.iter().map(|w| (w.id.clone(), w.name.clone())).collect::<Vec<_>>();
    let workspace = state.world.workspace(asked("team"))?;
    let person = workspace.person(asked("user"))?.clone();
    if workspace.bot.is_some() {
        workspace.direct_message(&person.id, &mut state.rng)?;
    }
    let town = town(workspace, &registration.bot_name);
    let is_home = asked("channel") == Some("home");
    let channel = workspace.channel(asked("channel").filter(|_| !is_home).unwrap_or("general"))?;
    if channel.with.as_ref().is_some_and(|with| *with != person.id) {
        return None;
    }
    let here = if is_home { "home".to_owned() } else { channel.id.clone() };
    let title = match (is_home, &channel.with) {
        (true, _) => format!("{}: Home", registration.bot_name),
        (false, Some(_)) => registration.bot_name.clone(),
        (false, None) => format!("# {}", channel.name),
    };
    let here = Here { team: workspace.id.clone(), user: person.name.clone(), channel: here };
    let thread = asked("thread").map(str::to_owned);
    let lines = if is_home {
        Vec::new()
    } else {
        let channel = workspace.channel(&here.channel)?;
        conversation(channel, &person, &town, &state.desk, &here, thread.as_deref())
    };
    let key = Desk::message(&person.id, "home");
    let (values, none) = (state.desk.values(&key), HashMap::new());
    let suggested = state.desk.suggested.get(&key).unwrap_or(&none);
    let surface = Surface { town: &town, id: "home", values: &values, suggested, errors: &HashMap::new() };
    let home = workspace.homes.get(&person.id).filter(|_| is_home);
    let home = home.map(|view| blocks::view(&view["blocks"], &surface)).unwrap_or_default();
    let direct = workspace.channels.iter().find(|channel| channel.with.as_ref() == Some(&person.id));
    Some(Index {
        gateway: registration.request_url.origin().ascii_serialization(),
        bot_name: registration.bot_name.clone(),
        workspaces: workspaces(&all, &workspace.id),
        people: workspace
            .people
            .iter()
            .map(|each| link(by(&here, &each.name), &each.real_name, each.id == person.id))
            .collect(),
        channels: public(workspace)
            .map(|channel| link(at(&here, &channel.id), &channel.name, channel.id == here.channel))
            .collect(),
        direct: direct
            .map(|channel| link(at(&here, &channel.id), &registration.bot_name, channel.id == here.channel)),
        is_connected: workspace.bot.is_some(),
        workspace: workspace.name.clone(),
        real_name: person.real_name.clone(),
        title,
        is_home,
        home,
        is_cut: lines.len() == limits::MESSAGES_SHOWN,
        lines,
        leave_thread: here.href(),
        thread,
        modal: modal(&state.desk, &person, &town),
        suggestions: sim.options.suggestions.clone(),
        log,
        version,
        here,
    })
}

fn workspaces(all: &[(String, String)], here: &str) -> Vec<Link> {
    all.iter().map(|(id, name)| link(format!("/?team={id}"), name, id == here)).collect()
}

fn link(href: String, text: &str, current: bool) -> Link {
    Link { href, text: text.to_owned(), current }
}

fn public(workspace: &Workspace) -> impl Iterator<Item = &Channel> {
    workspace.channels.iter().filter(|channel| channel.with.is_none())
}

fn town(workspace: &Workspace, bot_name: &str) -> Town {
    let mut names = Names::default();
    let called = |person: &Person| (person.id.clone(), person.real_name.clone());
    let people = workspace.people.iter().map(called).collect::<Vec<_>>();
    let channels =
        public(workspace).map(|channel| (channel.id.clone(), channel.name.clone())).collect::<Vec<_>>();
    people.iter().chain(&channels).for_each(|(id, name)| names.add(id, name));
    if let Some(bot) = &workspace.bot {
        names.add(&bot.user_id, bot_name);
    }
    names.add("USLACKBOT", "Slackbot");
    Town { names, people, channels }
}
