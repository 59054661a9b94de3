//! `chat.postMessage`, `chat.postEphemeral`, `chat.update`, `chat.delete`.

use serde_json::{Value, json};

use crate::limits;

use super::{Acting, Args, Outcome, Refused, refuse};
use crate::state::State;
use crate::world::{Bot, Channel, Message, Workspace};

/// What a message says, if Slack would take it.
fn content(args: &Args) -> Result<Message, Refused> {
    let list = |name: &str, error| match args.structured(name, error)? {
        list @ (Value::Null | Value::Array(_)) => Ok(list),
        _ => refuse(error),
    };
    let (mut blocks, attachments) =
        (list("blocks", "invalid_blocks_format")?, list("attachments", "invalid_attachments")?);
    if blocks.as_array().is_some_and(|blocks| blocks.len() > limits::MESSAGE_BLOCKS) {
        return refuse("invalid_blocks");
    }
    // Slack cuts what is longer.
    let text: String = args.text("text").unwrap_or_default().chars().take(limits::TEXT_CHARS).collect();
    if let Some(markdown) = args.text("markdown_text") {
        if markdown.chars().count() > limits::MARKDOWN_CHARS {
            return refuse("msg_too_long");
        }
        if !text.is_empty() || !blocks.is_null() {
            return refuse("markdown_text_conflict");
        }
        blocks = json!([{ "type": "markdown", "text": markdown }]);
    }
    let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    if text.is_empty() && is_empty(&blocks) && is_empty(&attachments) {
        return refuse("no_text");
    }
    let thread_ts = args.text("thread_ts").map(str::to_owned);
    let reply_broadcast = args.flag("reply_broadcast");
    let metadata = args.structured("metadata", "invalid_metadata_format")?;
    let is_whole = metadata["event_type"].is_string() && metadata["event_payload"].is_object();
    if !(metadata.is_null() || is_whole) {
        return refuse("invalid_metadata_format");
    }
    Ok(Message { metadata, text, blocks, attachments, thread_ts, reply_broadcast, ..Message::default() })
}

pub(super) fn place<'s>(
    state: &'s mut State,
    acting: &Acting,
    args: &Args,
) -> Result<(Bot, &'s mut Channel), Refused> {
    let State { world, rng, .. } = state;
    let Some(workspace) = world.workspace(Some(&acting.team)) else { return refuse("account_inactive") };
    let Some(bot) = workspace.bot.clone() else { return refuse("account_inactive") };
    let wanted = args.text("channel").unwrap_or_default();
    let found = channel(workspace, wanted, rng).ok_or(()).or_else(|()| refuse("channel_not_found"))?;
    if found.is_private && found.is_left {
        return refuse("channel_not_found");
    }
    if found.is_archived {
        return refuse("is_archived");
    }
    Ok((bot, found))
}

/// A channel; or by a person's id the direct message, which opens by itself.
fn channel<'w>(
    workspace: &'w mut Workspace,
    wanted: &str,
    rng: &mut fastrand::Rng,
) -> Option<&'w mut Channel> {
    if workspace.people.iter().any(|person| person.id == wanted) {
        return workspace.direct_message(wanted, rng);
    }
    workspace.channel(wanted)
}

pub(super) fn post_message(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let content = content(args)?;
    let (bot, channel) = place(state, acting, args)?;
    let message = channel.post(Message { user: bot.user_id, bot_id: Some(bot.bot_id), ..content });
    let answer = json!({ "channel": channel.id, "ts": message.ts, "message": message });
    state.keep();
    Ok(answer)
}

pub(super) fn post_ephemeral(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let content = content(args)?;
    let user = args.text("user").unwrap_or_default().to_owned();
    let workspace = state.world.workspace(Some(&acting.team));
    if !workspace.is_some_and(|workspace| workspace.people.iter().any(|person| person.id == user)) {
        return refuse("user_not_in_channel");
    }
    let (bot, channel) = place(state, acting, args)?;
    let message = channel.post(Message {
        user: bot.user_id,
        bot_id: Some(bot.bot_id),
        ephemeral: true,
        visible_to: Some(user),
        ..content
    });
    state.keep();
    Ok(json!({ "message_ts": message.ts }))
}

/// Only what the app said itself, and what everybody sees.
fn own<'c>(
    channel: &'c Channel,
    bot: &Bot,
    args: &Args,
    error: &'static str,
) -> Result<&'c Message, Refused> {
    let ts = args.text("ts").unwrap_or_default();
    let message = channel.messages.iter().find(|message| message.ts == ts && !message.ephemeral);
    match message {
        None => refuse("message_not_found"),
        Some(message) if message.bot_id.as_ref() != Some(&bot.bot_id) => refuse(error),
        Some(message) => Ok(message),
    }
}

pub(super) fn update(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let content = content(args)?;
    let (bot, channel) = place(state, acting, args)?;
    let ts = own(channel, &bot, args, "cant_update_message")?.ts.clone();
    let answer = json!({ "channel": channel.id, "ts": ts, "text": content.text });
    channel.replace(&ts, content);
    state.keep();
    Ok(answer)
}

pub(super) fn delete(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let (bot, channel) = place(state, acting, args)?;
    let ts = own(channel, &bot, args, "cant_delete_message")?.ts.clone();
    channel.messages.retain(|message| message.ts != ts);
    let answer = json!({ "channel": channel.id, "ts": ts });
    state.keep();
    Ok(answer)
}
