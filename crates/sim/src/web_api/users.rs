//! `users.info`, `users.list`, `users.lookupByEmail`.

use serde_json::{Value, json};

use super::{Acting, Args, Outcome, refuse};
use crate::state::State;
use crate::world::Person;

fn shown(person: &Person, team: &str) -> Value {
    json!({
        "id": person.id, "team_id": team, "name": person.name, "real_name": person.real_name,
        "is_bot": false, "deleted": false, "tz": "Europe/London",
    })
}

pub(super) fn info(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let wanted = args.text("user").unwrap_or_default();
    if let Some(bot) = workspace.bot.as_ref().filter(|bot| bot.user_id == wanted) {
        return Ok(
            json!({ "user": { "id": bot.user_id, "team_id": workspace.id, "is_bot": true, "deleted": false } }),
        );
    }
    match workspace.people.iter().find(|person| person.id == wanted) {
        None => refuse("user_not_found"),
        Some(person) => Ok(json!({ "user": shown(person, &workspace.id) })),
    }
}

/// Everybody's address is made of their name and the workspace's domain.
pub(super) fn lookup_by_email(state: &mut State, acting: &Acting, args: &Args) -> Outcome {
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let wanted = args.text("email").unwrap_or_default().to_lowercase();
    let address = |person: &&Person| format!("{}@{}.example", person.name, workspace.domain) == wanted;
    match workspace.people.iter().find(address) {
        None => refuse("users_not_found"),
        Some(person) => Ok(json!({ "user": shown(person, &workspace.id) })),
    }
}

pub(super) fn list(state: &mut State, acting: &Acting, _: &Args) -> Outcome {
    let Some(workspace) = state.world.workspace(Some(&acting.team)) else {
        return refuse("account_inactive");
    };
    let members = workspace.people.iter().map(|person| shown(person, &workspace.id)).collect::<Vec<_>>();
    Ok(json!({ "members": members, "response_metadata": { "next_cursor": "" } }))
}
