//! `oauth.v2.access`: a code for a token, or a refresh token for the next.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::{Args, Outcome, Refused, refuse};
use crate::app::{Sim, lock};
use crate::rotation::{self, Owner};
use crate::time::now_s;
use crate::world::{Bot, id};

pub(super) fn call(sim: &Sim, headers: &HeaderMap, args: &Args) -> Outcome {
    check_client(sim, headers, args)?;
    match args.text("grant_type") {
        Some("refresh_token") => refresh(sim, args),
        None | Some("authorization_code") => install(sim, args),
        Some(_) => refuse("invalid_grant_type"),
    }
}

/// Whether it is the app itself that asks.
pub(super) fn check_client(sim: &Sim, headers: &HeaderMap, args: &Args) -> Result<(), Refused> {
    let (client_id, client_secret) = match basic(headers) {
        Some(pair) => pair,
        None => {
            let text = |name| args.text(name).unwrap_or_default().to_owned();
            (text("client_id"), text("client_secret"))
        }
    };
    let registration = &sim.options.registration;
    if client_id != registration.client_id {
        return refuse("invalid_client_id");
    }
    if client_secret != registration.client_secret {
        return refuse("bad_client_secret");
    }
    Ok(())
}

fn refresh(sim: &Sim, args: &Args) -> Outcome {
    let mut guard = sim.state();
    let state = &mut *guard;
    let Some(life_s) = sim.options.token_life_s else { return refuse("invalid_grant_type") };
    let refresh_token = args.text("refresh_token").unwrap_or_default();
    let Some((owner, mut answer)) = rotation::renew(state, refresh_token, life_s) else {
        return refuse("invalid_refresh_token");
    };
    let app_id = state.world.app_id.clone();
    let Some(workspace) = state.world.workspace(Some(&owner.team)) else { return refuse("team_not_found") };
    answer["app_id"] = app_id.into();
    answer["team"] = json!({ "id": workspace.id, "name": workspace.name });
    answer["enterprise"] = Value::Null;
    answer["is_enterprise_install"] = false.into();
    state.keep();
    Ok(answer)
}

fn install(sim: &Sim, args: &Args) -> Outcome {
    // Taken out whatever follows: a code is good for one try.
    let Some(code) = lock(&sim.codes).remove(args.text("code").unwrap_or_default()) else {
        return refuse("invalid_code");
    };
    if now_s() > code.expires_at_s {
        return refuse("invalid_code");
    }
    if args.text("redirect_uri") != Some(&code.redirect_uri) {
        return refuse("bad_redirect_uri");
    }
    let mut guard = sim.state();
    let state = &mut *guard;
    let life_s = sim.options.token_life_s;
    let mut answer = rotation::issue(state, &Owner { team: code.team.clone(), user: None }, life_s, None);
    answer["authed_user"] = json!({ "id": code.user });
    if !code.user_scopes.is_empty() {
        let user = Owner { team: code.team.clone(), user: Some(code.user.clone()) };
        answer["authed_user"] = rotation::issue(state, &user, life_s, None);
        answer["authed_user"]["id"] = code.user.into();
        answer["authed_user"]["scope"] = code.user_scopes.join(",").into();
    }
    let bot_ids = (id(&mut state.rng, 'U'), id(&mut state.rng, 'B'));
    let app_id = state.world.app_id.clone();
    let Some(workspace) = state.world.workspace(Some(&code.team)) else { return refuse("team_not_found") };
    let bot = workspace.bot.get_or_insert_with(|| Bot {
        user_id: bot_ids.0,
        bot_id: bot_ids.1,
        scopes: Vec::new(),
    });
    for scope in code.scopes {
        if !bot.scopes.contains(&scope) {
            bot.scopes.push(scope);
        }
    }
    answer["scope"] = bot.scopes.join(",").into();
    answer["bot_user_id"] = bot.user_id.clone().into();
    answer["app_id"] = app_id.into();
    answer["team"] = json!({ "id": workspace.id, "name": workspace.name });
    answer["enterprise"] = Value::Null;
    answer["is_enterprise_install"] = false.into();
    state.keep();
    Ok(answer)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
