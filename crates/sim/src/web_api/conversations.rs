//! `conversations.list` (a page at a time), `.history` (newest first), `.replies`, `.info`, `.open`.

use serde_json::{Value, json};

use super::{Acting, Args, Outcome, Refused, refuse};
use crate::limits;
use crate::state::State;
use crate::world::{Channel, Message, Workspace};

fn workspace<'s>(state: &'s mut State, acting: &Acting) -> Result<&'s mut Workspace, Refused> {
    match state.world.workspace(Some(&acting.team)) {
        Some(workspace) => Ok(workspace),
        None => refuse("account_inactive"),
    }
}

fn shown(channel: &Channel) -> Value {
    if let Some(user) = &channel.with {
        return json!({ "id": channel.id, "is_im": true, "user": user, "is_archived": false });
    }
    json!({
        "id": channel.id, "name": channel.name, "is_channel": !channel.is_private,
        "is_private": channel.is_private, "is_archived": channel.is_archived,
        "is_general": channel.name == "general", "is_member": !channel.is_left,
    })
}

pub(super) fn list(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let workspace = workspace(state, acting)?;
    let types = args.text("types").unwrap_or("public_channel").to_owned();
    let is_wanted = |channel: &&Channel| {
        let kind = if channel.is_private { "private_channel" } else { "public_channel" };
        channel.with.is_none()
            && types.split(',').any(|wanted| wanted.trim() == kind)
            // A private channel that the app is not in is none that it can see.
            && !(channel.is_private && channel.is_left)
            && !(channel.is_archived && args.flag("exclude_archived"))
    };
    let channels = workspace.channels.iter().filter(is_wanted).collect::<Vec<_>>();
    let limit = args.number("limit").filter(|limit| *limit > 0).unwrap_or(limits::PAGE.0).min(limits::PAGE.1);
    let begin = match args.text("cursor") {
        None => 0,
        Some(cursor) => match channels.iter().position(|channel| format!("{}=", channel.id) == cursor) {
            Some(position) => position,
            None => return refuse("invalid_cursor"),
        },
    };
    let next = channels.get(begin + limit).map_or(String::new(), |channel| format!("{}=", channel.id));
    let page = channels.iter().skip(begin).take(limit).map(|channel| shown(channel)).collect::<Vec<_>>();
    Ok(json!({ "channels": page, "response_metadata": { "next_cursor": next } }))
}

/// By id alone: Slack takes no names here.
fn by_id<'w>(workspace: &'w Workspace, args: &Args) -> Result<&'w Channel, Refused> {
    let wanted = args.text("channel");
    match workspace.channels.iter().find(|channel| Some(channel.id.as_str()) == wanted) {
        Some(channel) => Ok(channel),
        None => refuse("channel_not_found"),
    }
}

pub(super) fn info(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let workspace = workspace(state, acting)?;
    Ok(json!({ "channel": shown(by_id(workspace, args)?) }))
}

pub(super) fn history(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let workspace = workspace(state, acting)?;
    let channel = by_id(workspace, args)?;
    if channel.is_left {
        return refuse("not_in_channel");
    }
    let is_shown = |message: &&Message| {
        message.thread_ts.as_ref().is_none_or(|ts| *ts == message.ts) || message.reply_broadcast
    };
    page(channel.messages.iter().rev().filter(is_shown), args)
}

pub(super) fn replies(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let workspace = workspace(state, acting)?;
    let channel = by_id(workspace, args)?;
    let ts = args.text("ts").unwrap_or_default();
    if !channel.messages.iter().any(|message| message.ts == ts) {
        return refuse("thread_not_found");
    }
    let of_thread = |message: &&Message| message.ts == ts || message.thread_ts.as_deref() == Some(ts);
    page(channel.messages.iter().filter(of_thread), args)
}

/// What everybody sees and was said since, as far as the page goes.
fn page<'m>(messages: impl Iterator<Item = &'m Message>, args: &Args) -> Outcome {
    let limit = args.number("limit").filter(|limit| *limit > 0).unwrap_or(limits::PAGE.0).min(limits::PAGE.1);
    let begin = match args.text("cursor") {
        None => 0,
        Some(cursor) => match cursor.trim_end_matches('=').parse::<usize>() {
            Ok(begin) => begin,
            Err(_) => return refuse("invalid_cursor"),
        },
    };
    let oldest = args.text("oldest").and_then(|ts| ts.parse::<f64>().ok()).unwrap_or(0.0);
    let is_new = |message: &&Message| message.ts.parse::<f64>().is_ok_and(|ts| ts > oldest);
    let shown = messages.filter(|message| !message.ephemeral).filter(is_new).collect::<Vec<_>>();
    let page = shown.iter().skip(begin).take(limit).map(|message| {
        let mut shown = json!(message);
        if !args.flag("include_all_metadata") {
            shown.as_object_mut().map(|fields| fields.remove("metadata"));
        }
        shown
    });
    let has_more = shown.len() > begin + limit;
    let next = if has_more { format!("{}=", begin + limit) } else { String::new() };
    Ok(json!({
        "messages": page.collect::<Vec<_>>(), "has_more": has_more,
        "response_metadata": { "next_cursor": next },
    }))
}

pub(super) fn open(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let State { world, rng, .. } = state;
    let Some(workspace) = world.workspace(Some(&acting.team)) else { return refuse("account_inactive") };
    let user = args.text("users").unwrap_or_default();
    let Some(channel) = workspace.direct_message(user, rng) else { return refuse("user_not_found") };
    let answer = json!({ "channel": { "id": channel.id } });
    state.keep();
    Ok(answer)
}
