//! `bots.info`: of which app a bot is.

use serde_json::json;

use super::{Acting, Args, Outcome, refuse};
use crate::state::State;

pub(super) fn call(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let app_id = state.world.app_id.clone();
    let bot = state.world.workspace(Some(&acting.team)).and_then(|workspace| workspace.bot.clone());
    match bot.filter(|bot| args.text("bot").is_none_or(|wanted| wanted == bot.bot_id)) {
        Some(bot) => Ok(
            json!({ "bot": { "id": bot.bot_id, "app_id": app_id, "user_id": bot.user_id, "deleted": false } }),
        ),
        None => refuse("bot_not_found"),
    }
}
