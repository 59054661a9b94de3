//! `auth.test`: whose token this is.

use serde_json::json;

use super::{Acting, Args, Outcome, refuse};
use crate::state::State;

pub(super) fn call(state: &mut State, acting: &Acting, _: &Args) -> Outcome {
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let Some(bot) = &workspace.bot else { return refuse("account_inactive") };
    Ok(json!({
        "url": format!("https://{}.slack.com/", workspace.domain),
        "team": workspace.name,
        "team_id": workspace.id,
        "user": "bot",
        "user_id": bot.user_id,
        "bot_id": bot.bot_id,
        "is_enterprise_install": false,
    }))
}
