//! `chat.postMessage`.

use serde_json::{Value, json};

use super::{Acting, Args, Outcome, refuse};
use crate::state::State;
use crate::world::Message;

pub(super) fn call(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let blocks = args.structured("blocks", "invalid_blocks_format")?;
    if !matches!(blocks, Value::Null | Value::Array(_)) {
        return refuse("invalid_blocks_format");
    }
    let text = args.text("text").unwrap_or_default().to_owned();
    if text.is_empty() && blocks.as_array().is_none_or(Vec::is_empty) {
        return refuse("no_text");
    }
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let Some(bot) = workspace.bot.clone() else { return refuse("account_inactive") };
    let Some(channel) = args.text("channel").and_then(|wanted| workspace.channel(wanted)) else {
        return refuse("channel_not_found");
    };
    let message = channel.post(Message {
        ts: String::new(),
        user: bot.user_id,
        bot_id: Some(bot.bot_id),
        text,
        blocks,
        thread_ts: args.text("thread_ts").map(str::to_owned),
        ephemeral: false,
    });
    let answer = json!({ "channel": channel.id, "ts": message.ts, "message": message });
    state.keep();
    Ok(answer)
}
