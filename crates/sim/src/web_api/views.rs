//! `views.open`, `views.push`, `views.update`, `views.publish`, and the legacy `dialog.open`.

use serde_json::{Value, json};

use super::{Acting, Args, Outcome, Refused, refuse};
use crate::acts::modal;
use crate::blocks::placed::{Values, with_ids};
use crate::desk::{Legacy, OpenView};
use crate::limits;
use crate::state::State;
use crate::world::short_ids;

/// The view of the arguments, if Slack would take it.
fn view(args: &Args, kind: &str) -> Result<Value, Refused> {
    let view = args.structured("view", "invalid_arguments")?;
    let blocks = view["blocks"].as_array();
    let has_inputs = blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "input"));
    let is_good = view["type"] == kind
        && blocks.is_some_and(|blocks| !blocks.is_empty() && blocks.len() <= limits::VIEW_BLOCKS)
        && (kind == "home"
            || view["title"]["text"]
                .as_str()
                .is_some_and(|title| title.chars().count() <= limits::TITLE_CHARS))
        && (kind == "home" || !has_inputs || view["submit"].is_object());
    if is_good { Ok(view) } else { refuse("invalid_arguments") }
}

fn trigger(state: &mut State, acting: &Acting, args: &Args) -> Result<String, Refused> {
    let id = args.text("trigger_id").unwrap_or_default();
    let (team, user) = state.desk.pull(id).or_else(refuse)?;
    if team == acting.team { Ok(user) } else { refuse("invalid_trigger_id") }
}

fn shown(open: &OpenView, app_id: &str, bot_id: &str) -> Value {
    json!({ "view": open.payload(app_id, bot_id, &Values::new()) })
}

fn ids(state: &mut State, acting: &Acting) -> (String, String) {
    let app_id = state.world.app_id.clone();
    let bot = state.world.workspace(Some(&acting.team)).and_then(|workspace| workspace.bot.as_ref());
    (app_id, bot.map(|bot| bot.bot_id.clone()).unwrap_or_default())
}

fn put(state: &mut State, acting: &Acting, args: &Args, push: bool) -> Outcome {
    let view = view(args, "modal")?;
    let user = trigger(state, acting, args)?;
    let (app_id, bot_id) = ids(state, acting);
    let opened = state.desk.open(&acting.team, &user, &view, push).or_else(refuse)?;
    Ok(shown(opened, &app_id, &bot_id))
}

pub(super) fn open(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    put(state, acting, args, false)
}

pub(super) fn push(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    put(state, acting, args, true)
}

pub(super) fn update(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let view = view(args, "modal")?;
    let (app_id, bot_id) = ids(state, acting);
    let open = state.desk.view_named(args.text("view_id"), args.text("external_id"));
    let Some(open) = open.filter(|open| open.team == acting.team) else { return refuse("not_found") };
    if args.text("hash").is_some_and(|hash| hash != open.hash) {
        return refuse("hash_conflict");
    }
    open.update(&view);
    Ok(shown(open, &app_id, &bot_id))
}

pub(super) fn publish(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let mut view = view(args, "home")?;
    let (app_id, bot_id) = ids(state, acting);
    let user = args.text("user_id").unwrap_or_default();
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let Some(user) = workspace.person(Some(user)).map(|person| person.id.clone()) else {
        return refuse("user_not_found");
    };
    let id = format!("V{}", user.trim_start_matches('U'));
    view["blocks"] = with_ids(view["blocks"].take(), short_ids("1"));
    for (name, value) in [
        ("id", id.as_str()),
        ("team_id", acting.team.as_str()),
        ("app_installed_team_id", acting.team.as_str()),
        ("root_view_id", id.as_str()),
        ("app_id", app_id.as_str()),
        ("bot_id", bot_id.as_str()),
    ] {
        view[name] = value.into();
    }
    workspace.homes.insert(user, view.clone());
    state.keep();
    Ok(json!({ "view": view }))
}

/// The ancestor of modals.
pub(super) fn dialog_open(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let dialog = args.structured("dialog", "validation_errors")?;
    let elements = dialog["elements"].as_array().map_or(0, Vec::len);
    if !dialog["callback_id"].is_string()
        || !dialog["title"].is_string()
        || !(1..=limits::DIALOG_ELEMENTS).contains(&elements)
    {
        return refuse("validation_errors");
    }
    let user = trigger(state, acting, args)?;
    let workspace = state.world.workspace(Some(&acting.team));
    let channel =
        workspace.and_then(|workspace| workspace.channels.first().map(|channel| channel.id.clone()));
    let opened = state.desk.open(&acting.team, &user, &modal::as_view(&dialog), false);
    let id = opened.or_else(refuse)?.id.clone();
    if let Some(open) = state.desk.view(&id) {
        let legacy = Legacy { dialog, channel: channel.unwrap_or_default(), response_url: String::new() };
        open.legacy = Some(legacy);
    }
    Ok(json!({}))
}
