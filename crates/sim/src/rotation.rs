//! Tokens: handed out, and, where they end, renewed as Slack does it.

use serde_json::{Value, json};

use crate::state::State;
use crate::time::now_s;
use crate::web_api::hash;
use crate::world::{Grant, Renewal};

/// Access tokens of one bot or person that work at once; Slack ends the oldest beyond.
const LIVING: usize = 2;

/// Whose token it is.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) team: String,
    pub(crate) user: Option<String>,
}

impl Owner {
    fn has(&self, grant: &Grant) -> bool {
        grant.team == self.team && grant.user == self.user
    }
}

/// Hands a token out: the fields of Slack's answer. One that lives for a time comes with what renews it.
pub(crate) fn issue(
    state: &mut State,
    owner: &Owner,
    life_s: Option<i64>,
    instead_of: Option<String>,
) -> Value {
    let kind = if owner.user.is_some() { "xoxp" } else { "xoxb" };
    let number = state.rng.u64(100_000_000_000..999_999_999_999);
    let token = match life_s {
        None => format!("{kind}-{number}-{}", secret(state)),
        Some(_) => format!("xoxe.{kind}-1-{number}{}", secret(state)),
    };
    state.issued.push(token.clone());
    let world = &mut state.world;
    world.tokens.push(Grant {
        hash: hash(&token),
        team: owner.team.clone(),
        user: owner.user.clone(),
        ends_at_s: life_s.map(|life_s| now_s() + life_s),
        exchanged: false,
    });
    let mut fields =
        json!({ "access_token": token, "token_type": if owner.user.is_some() { "user" } else { "bot" } });
    let Some(life_s) = life_s else { return fields };
    let ending = |grant: &Grant| owner.has(grant) && grant.ends_at_s.is_some();
    while world.tokens.iter().filter(|grant| ending(grant)).count() > LIVING {
        let oldest = world.tokens.iter().position(ending).expect("there are some");
        world.tokens.remove(oldest);
    }
    let refresh_token = format!("xoxe-1-{}", secret(state));
    state.issued.push(refresh_token.clone());
    state.world.refresh_tokens.push(Renewal {
        hash: hash(&refresh_token),
        team: owner.team.clone(),
        user: owner.user.clone(),
        used_at_s: None,
        instead_of,
    });
    fields["refresh_token"] = refresh_token.into();
    fields["expires_in"] = life_s.into();
    fields
}

fn secret(state: &mut State) -> String {
    (0..state.temper.token_chars).map(|_| state.rng.alphanumeric()).collect()
}

/// Uses a refresh token. `None`: it is none, or was used before, and its grace is over.
pub(crate) fn renew(state: &mut State, refresh_token: &str, life_s: i64) -> Option<(Owner, Value)> {
    let (hash, grace_s) = (hash(refresh_token), state.temper.refresh_grace_s);
    let renewal = state.world.refresh_tokens.iter_mut().find(|renewal| renewal.hash == hash)?;
    if renewal.used_at_s.is_some_and(|used_at_s| now_s() >= used_at_s + grace_s) {
        return None;
    }
    renewal.used_at_s.get_or_insert_with(now_s);
    let owner = Owner { team: renewal.team.clone(), user: renewal.user.clone() };
    let old = renewal.instead_of.take();
    state.world.tokens.retain(|grant| Some(&grant.hash) != old.as_ref());
    let fields = issue(state, &owner, Some(life_s), None);
    Some((owner, fields))
}

/// Exchanges a token without an end for one that has.
pub(crate) fn exchange(state: &mut State, token: &str, life_s: i64) -> Result<Value, &'static str> {
    let hash = hash(token);
    let grant = state.world.tokens.iter_mut().find(|grant| grant.hash == hash).ok_or("invalid_token")?;
    if grant.ends_at_s.is_some() {
        return Err("invalid_token");
    }
    if std::mem::replace(&mut grant.exchanged, true) {
        return Err("token_already_exchanged");
    }
    let owner = Owner { team: grant.team.clone(), user: grant.user.clone() };
    Ok(issue(state, &owner, Some(life_s), Some(hash)))
}

/// Ends all tokens that end at some time, now; and what renews them, if that is wanted.
pub(crate) fn expire(state: &mut State, and_refresh: bool) -> usize {
    if and_refresh {
        state.world.refresh_tokens.clear();
    }
    let ending = state.world.tokens.iter_mut().filter_map(|grant| grant.ends_at_s.as_mut());
    ending.map(|ends_at_s| *ends_at_s = 0).count()
}
