//! Looks in Slack for a message whose answer was lost. What follows from it is `tautline_core::looking`'s to decide.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tautline_core::looking::{self, Doubt, Seen, Then};
use tautline_core::outbox::{self, Claimed, Posted};
use tautline_core::{StoreError, Timestamp, limits};
use tautline_slack::errors::{self, Class};
use tautline_slack::history::{self, History, Likeness, Shown};
use tautline_slack::outgoing::Arguments;
use tautline_slack::web_api::Authorization;
use tautline_slack::{Refusal, Token, WebApiCall};

use crate::egress::CallError;
use crate::error::chain;
use crate::installations::acting::{Acting, ActingError};

/// Looks for a message, and decides.
pub(super) async fn look_up(acting: &Acting, claimed: &Claimed, doubt: Doubt, sent: &Arguments) -> Then {
    let acting = acting.paced(limits::LOOK_UP_WAIT);
    let seen = match see(&acting, claimed, doubt, sent).await {
        Ok(seen) => seen,
        Err(Unseen::DeadToken(why)) => return Then::Hold(why),
        Err(Unseen::Other(seen)) => seen,
    };
    let was_resent = claimed.is_possible_duplicate;
    looking::after(seen, doubt, acting.app.clock.now(), claimed.on_uncertain, was_resent)
}

/// Why nothing was seen.
enum Unseen {
    /// With this token it can neither be looked for nor sent.
    DeadToken(String),
    Other(Seen),
}

async fn see(acting: &Acting, claimed: &Claimed, doubt: Doubt, sent: &Arguments) -> Result<Seen, Unseen> {
    if !claimed.operation.can_be_looked_up() {
        return Ok(Seen::Never("what one person sees stands in no history".to_owned()));
    }
    if !history::can_be_known_again(sent) {
        return Ok(Seen::Never("nothing in it can be known again".to_owned()));
    }
    let channel = channel(acting, claimed, sent).await?;
    let thread_ts = sent.get("thread_ts").and_then(Value::as_str);
    // What was said much later is none of it, however much that is.
    let oldest = doubt.since.before(limits::LOOK_UP_SKEW);
    let latest = doubt.at.after(limits::LOOK_UP_SETTLED + limits::LOOK_UP_SKEW);
    let between = (oldest.as_secs(), latest.as_secs());
    let bot = bot(acting, claimed).await?;
    let mut cursor = None;
    for _ in 0..limits::LOOK_UP_PAGES {
        let page: History = ask(acting, |token| {
            let cursor = cursor.as_deref();
            history::between(token, &channel, thread_ts, between, cursor, limits::LOOK_UP_PAGE)
        })
        .await?;
        for shown in &page.messages {
            let posted = Posted { channel: channel.clone(), ts: shown.ts.clone() };
            if is_it(acting, claimed, &bot, shown, &posted, sent).await? {
                return Ok(Seen::There(posted));
            }
        }
        cursor = page.next_cursor().map(str::to_owned);
        if cursor.is_none() {
            return Ok(Seen::NotThere);
        }
    }
    Ok(Seen::Never("too much was said in the channel since to find it".to_owned()))
}

async fn is_it(
    acting: &Acting,
    claimed: &Claimed,
    bot: &Bot,
    shown: &Shown,
    posted: &Posted,
    sent: &Arguments,
) -> Result<bool, Unseen> {
    match shown.likeness(&claimed.id.to_string(), sent) {
        Likeness::Same => Ok(true),
        Likeness::Alike if bot.said(shown) => {
            let anothers = acting.app.store.message_is_anothers(claimed, posted).await;
            Ok(!anothers.map_err(|error| unread(acting, &error))?)
        }
        Likeness::Alike | Likeness::Other => Ok(false),
    }
}

/// Who says what we say.
struct Bot {
    user: Option<String>,
    id: Option<String>,
}

impl Bot {
    fn said(&self, shown: &Shown) -> bool {
        let is = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        is(&self.user, &shown.user) || is(&self.id, &shown.bot_id)
    }
}

async fn bot(acting: &Acting, claimed: &Claimed) -> Result<Bot, Unseen> {
    let found = acting.app.store.installation(&claimed.tenant, claimed.installation).await;
    match found.map_err(|error| unread(acting, &error))? {
        Some(found) => Ok(Bot { user: found.facts.bot_user_id, id: found.facts.bot_id }),
        None => Err(Unseen::DeadToken("the workspace is no longer connected".to_owned())),
    }
}

/// The id of the channel that a message went to: histories know no names.
async fn channel(acting: &Acting, claimed: &Claimed, sent: &Arguments) -> Result<String, Unseen> {
    #[derive(Deserialize)]
    struct Opened {
        channel: Id,
    }
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let named = ["channel", "channel_id"].into_iter().find_map(|name| sent.get(name)?.as_str());
    let is_id = |text: &&str| {
        text.len() > 1
            && text.starts_with(['C', 'G', 'D', 'U', 'W'])
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let known = [named.unwrap_or_default(), claimed.lane.as_str()].into_iter().find(is_id);
    match known {
        Some(user) if user.starts_with(['U', 'W']) => {
            let opened: Opened = ask(acting, |token| WebApiCall {
                method: "conversations.open",
                authorization: Authorization::Bearer(token),
                form: vec![("users", user.to_owned())],
            })
            .await?;
            Ok(opened.channel.id)
        }
        Some(channel) => Ok(channel.to_owned()),
        None => {
            let name = outbox::lane(named.unwrap_or_default());
            let found = acting.app.store.channels(
                &claimed.tenant,
                claimed.installation,
                name,
                limits::CHANNELS_SHOWN,
            );
            let found = found.await.map_err(|error| unread(acting, &error))?;
            let found = found.into_iter().find(|channel| channel.name == name);
            let unknown = || Unseen::Other(Seen::Never("the channel's id is not known".to_owned()));
            found.map(|channel| channel.id).ok_or_else(unknown)
        }
    }
}

/// Asks Slack something.
async fn ask<T: DeserializeOwned>(acting: &Acting, make: impl Fn(Token) -> WebApiCall) -> Result<T, Unseen> {
    let failed = match acting.ask::<T>(make).await {
        Ok(reply) => return Ok(reply.answer),
        Err(error @ ActingError::NoToken) => return Err(Unseen::DeadToken(error.to_string())),
        Err(ActingError::Store(error)) => return Err(unread(acting, &error)),
        Err(error @ (ActingError::Renewing | ActingError::HeldUp)) => {
            return Err(nothing(acting.app.clock.now().after(limits::LOOK_UP_AGAIN), error.to_string()));
        }
        Err(error @ ActingError::TooSoon { at, .. }) => return Err(nothing(at, error.to_string())),
        Err(ActingError::Call(failed)) => failed,
    };
    let now = acting.app.clock.now();
    match &failed {
        CallError::Refused(Refusal::Error(word)) => match errors::class(word) {
            Some(Class::DeadToken) => Err(Unseen::DeadToken(word.clone())),
            Some(Class::Limited | Class::Unsure | Class::Later | Class::Renew) => {
                Err(nothing(now.after(limits::LOOK_UP_AGAIN), word))
            }
            _ => Err(Unseen::Other(Seen::Never(format!("the app may not look there: {word}")))),
        },
        _ => Err(nothing(now.after(limits::LOOK_UP_AGAIN), failed.to_string())),
    }
}

fn nothing(again_at: Timestamp, why: impl Into<String>) -> Unseen {
    Unseen::Other(Seen::Nothing { again_at, why: why.into() })
}

fn unread(acting: &Acting, error: &StoreError) -> Unseen {
    tracing::error!(error = %chain(error), "what is needed to look for a message cannot be read yet");
    nothing(acting.app.clock.now().after(limits::LOOK_UP_AGAIN), "the gateway could not read its store")
}
