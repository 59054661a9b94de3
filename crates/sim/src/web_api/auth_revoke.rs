//! `auth.revoke`: the bot's tokens of a workspace end. (Slack tells of it by `tokens_revoked`, which acts send by hand.)

use serde_json::json;

use super::{Acting, Args, Outcome};
use crate::state::State;

pub(super) fn call(state: &mut State, acting: &Acting, _: &Args) -> Outcome {
    state.world.tokens.retain(|grant| grant.team != acting.team);
    if let Some(workspace) = state.world.workspaces.iter_mut().find(|each| each.id == acting.team) {
        workspace.bot = None;
    }
    Ok(json!({ "revoked": true }))
}
