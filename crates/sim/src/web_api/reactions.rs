//! `reactions.add`, `reactions.remove`.

use serde_json::json;

use super::{Acting, Args, Outcome, chat, refuse};
use crate::state::State;

pub(super) fn add(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    change(state, acting, args, true)
}

pub(super) fn remove(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    change(state, acting, args, false)
}

fn change(state: &mut State, acting: &Acting, args: &Args, adds: bool) -> Outcome {
    let (Some(name), Some(ts)) = (args.text("name"), args.text("timestamp")) else {
        return refuse("no_item_specified");
    };
    let (_, channel) = chat::place(state, acting, args)?;
    let Some(message) = channel.messages.iter_mut().find(|message| message.ts == ts) else {
        return refuse("message_not_found");
    };
    match (adds, message.reactions.iter().position(|reaction| reaction == name)) {
        (true, Some(_)) => return refuse("already_reacted"),
        (false, None) => return refuse("no_reaction"),
        (true, None) => message.reactions.push(name.to_owned()),
        (false, Some(at)) => drop(message.reactions.remove(at)),
    }
    state.keep();
    Ok(json!({}))
}
