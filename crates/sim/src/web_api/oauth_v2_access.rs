//! `oauth.v2.access`: a code for a token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::{Args, Outcome, hash, refuse};
use crate::app::{Sim, lock};
use crate::time::now_s;
use crate::world::{Bot, Grant, id};

pub(super) fn call(sim: &Sim, headers: &HeaderMap, args: &Args) -> Outcome {
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
    let bot_ids = (id(&mut state.rng, 'U'), id(&mut state.rng, 'B'));
    let secret = (0..state.temper.token_chars).map(|_| state.rng.alphanumeric()).collect::<String>();
    let number = state.rng.u64(100_000_000_000..999_999_999_999);
    let token = format!("xoxb-{number}-{secret}");
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
    let answer = json!({
        "access_token": token,
        "token_type": "bot",
        "scope": bot.scopes.join(","),
        "bot_user_id": bot.user_id,
        "app_id": app_id,
        "team": { "id": workspace.id, "name": workspace.name },
        "enterprise": Value::Null,
        "is_enterprise_install": false,
        "authed_user": { "id": code.user },
    });
    state.world.tokens.push(Grant { hash: hash(&token), team: code.team });
    state.keep();
    Ok(answer)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
