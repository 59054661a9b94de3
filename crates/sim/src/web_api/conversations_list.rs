//! `conversations.list`, a page at a time.

use serde_json::json;

use super::{Acting, Args, Outcome, refuse};
use crate::state::State;

pub(super) fn call(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let limit = args.number("limit").filter(|limit| *limit > 0).unwrap_or(100).min(999);
    let begin = match args.text("cursor") {
        None => 0,
        Some(cursor) => {
            match workspace.channels.iter().position(|channel| format!("{}=", channel.id) == cursor) {
                Some(position) => position,
                None => return refuse("invalid_cursor"),
            }
        }
    };
    let channels = workspace.channels.iter().skip(begin).take(limit).map(|channel| {
        json!({
            "id": channel.id, "name": channel.name, "is_channel": true, "is_private": false,
            "is_archived": false, "is_general": channel.name == "general", "is_member": true,
        })
    });
    let next =
        workspace.channels.get(begin + limit).map_or(String::new(), |channel| format!("{}=", channel.id));
    Ok(json!({ "channels": channels.collect::<Vec<_>>(), "response_metadata": { "next_cursor": next } }))
}
