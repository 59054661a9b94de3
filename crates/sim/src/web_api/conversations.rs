//! `conversations.list` (a page at a time), `.history` (newest first), `.info`, `.open`.

use serde_json::{Value, json};

use super::{Acting, Args, Outcome, Refused, refuse};
use crate::limits;
use crate::state::State;
use crate::world::{Channel, Workspace};

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
        "id": channel.id, "name": channel.name, "is_channel": true, "is_private": false,
        "is_archived": false, "is_general": channel.name == "general", "is_member": true,
    })
}

pub(super) fn list(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let workspace = workspace(state, acting)?;
    let channels = workspace.channels.iter().filter(|channel| channel.with.is_none()).collect::<Vec<_>>();
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
    let limit = args.number("limit").filter(|limit| *limit > 0).unwrap_or(limits::PAGE.0).min(limits::PAGE.1);
    let shown = channel.messages.iter().rev().filter(|message| !message.ephemeral);
    let messages = shown.clone().take(limit).collect::<Vec<_>>();
    Ok(json!({ "messages": messages, "has_more": shown.count() > limit }))
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
