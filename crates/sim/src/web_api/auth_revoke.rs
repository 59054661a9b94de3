//! `auth.revoke`: the bot's tokens of a workspace end, or those of a person. (Slack tells of it by `tokens_revoked`, which acts send by hand.)

use serde_json::json;

use super::{Acting, Args, Outcome};
use crate::state::State;

pub(super) fn call(state: &mut State, acting: &Acting, _: &Args) -> Outcome {
    if acting.user.is_some() {
        state.world.tokens.retain(|grant| grant.team != acting.team || grant.user != acting.user);
        return Ok(json!({ "revoked": true }));
    }
    state.world.tokens.retain(|grant| grant.team != acting.team);
    state.world.refresh_tokens.retain(|renewal| renewal.team != acting.team);
    if let Some(workspace) = state.world.workspaces.iter_mut().find(|each| each.id == acting.team) {
        workspace.bot = None;
    }
    Ok(json!({ "revoked": true }))
}
