//! `conversations.history`, newest first.

use serde_json::json;

use super::{Acting, Args, Outcome, refuse};
use crate::state::State;

pub(super) fn call(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    // By id alone: Slack takes no names here.
    let channel =
        args.text("channel").and_then(|id| workspace.channels.iter().find(|channel| channel.id == id));
    let Some(channel) = channel else { return refuse("channel_not_found") };
    let limit = args.number("limit").filter(|limit| *limit > 0).unwrap_or(100).min(999);
    let shown = channel.messages.iter().rev().filter(|message| !message.ephemeral);
    let messages = shown.clone().take(limit).collect::<Vec<_>>();
    Ok(json!({ "messages": messages, "has_more": shown.count() > limit }))
}
