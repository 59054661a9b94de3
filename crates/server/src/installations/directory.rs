//! The directory of channels: crawled in the background within Slack's limits, and kept fresh by what Slack tells in between.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tautline_core::channel::{Channel, Crawl, CrawlNext};
use tautline_core::{InstallationId, StoreResult, TenantId, Timestamp, limits};
use tautline_slack::errors::{self, Class};
use tautline_slack::web_api::Authorization;
use tautline_slack::{Refusal, Token, WebApiCall};
use tokio_util::sync::CancellationToken;

use super::acting::{Acting, ActingError};
use crate::app::App;
use crate::egress::CallError;
use crate::error::{ApiError, ApiResult, chain};

/// Crawls what is due, a page at a time, until told to stop.
pub(crate) async fn crawl(app: Arc<App>, stop: CancellationToken) {
    let mut pause = limits::CRAWL_SWEEP;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let now = app.clock.now();
        pause = match app.store.crawl_claim(now, now.after(limits::CRAWL_LEASE)).await {
            Ok(None) => limits::CRAWL_SWEEP,
            Ok(Some(crawl)) => {
                if let Err(error) = page(&app, crawl).await {
                    tracing::warn!(error = %chain(&error), "a page of channels could not be kept; it is asked for again");
                }
                // Another workspace may be due as well.
                Duration::ZERO
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "which channels are to be looked for cannot be read; trying again");
                (pause * 2).clamp(limits::CRAWL_SWEEP, limits::SWEEP_PAUSE)
            }
        };
    }
}

/// A page of `conversations.list`.
#[derive(Default, Deserialize)]
struct Listed {
    #[serde(default)]
    channels: Vec<Shown>,
    #[serde(default)]
    response_metadata: More,
}

#[derive(Default, Deserialize)]
struct More {
    next_cursor: Option<String>,
}

/// A channel as Slack shows it.
#[derive(Deserialize)]
struct Shown {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_private: bool,
    #[serde(default)]
    is_member: bool,
    #[serde(default)]
    is_archived: bool,
}

impl From<Shown> for Channel {
    fn from(shown: Shown) -> Self {
        Self {
            id: shown.id,
            name: shown.name,
            is_private: shown.is_private,
            is_member: shown.is_member,
            dead: shown.is_archived.then(|| "is_archived".to_owned()),
        }
    }
}

async fn page(app: &Arc<App>, crawl: Crawl) -> StoreResult<()> {
    let Some(found) = app.store.installation(&crawl.tenant, crawl.installation).await? else { return Ok(()) };
    let granted = |scope: &str| found.facts.scopes.iter().any(|granted| granted == scope);
    let types = match (granted("channels:read"), granted("groups:read")) {
        (true, true) => "public_channel,private_channel",
        (true, false) => "public_channel",
        (false, true) => "private_channel",
        (false, false) => {
            let error = Some("missing_scope".to_owned());
            let next = CrawlNext::Failed { error, at: app.clock.now().after(limits::CRAWL_AGAIN) };
            return app.store.crawl_page(&crawl, Vec::new(), next, app.clock.now()).await;
        }
    };
    // An org's token sees one of its workspaces at a time.
    let (nth, cursor) = crawl.cursor.as_deref().and_then(|at| at.split_once(':')).unwrap_or(("0", ""));
    let nth = nth.parse::<usize>().unwrap_or(0);
    let team = if found.facts.is_enterprise_install {
        match found.granted_teams.get(nth) {
            Some(team) => Some(team.as_str().to_owned()),
            // Which workspaces it sees is not known yet: nothing is gone for that.
            None if nth == 0 => {
                let next = CrawlNext::Failed { error: None, at: app.clock.now().after(limits::CRAWL_FAILED) };
                return app.store.crawl_page(&crawl, Vec::new(), next, app.clock.now()).await;
            }
            None => return end(app, &crawl, Vec::new()).await,
        }
    } else {
        None
    };
    let acting = Acting::bot(app, &crawl.tenant, crawl.installation).paced(Duration::ZERO);
    let listed = list(&acting, |token| {
        let mut form = vec![
            ("types", types.to_owned()),
            ("limit", limits::CRAWL_PAGE.to_string()),
            ("exclude_archived", "true".to_owned()),
        ];
        form.extend(team.clone().map(|team| ("team_id", team)));
        form.extend((!cursor.is_empty()).then(|| ("cursor", cursor.to_owned())));
        WebApiCall { method: "conversations.list", authorization: Authorization::Bearer(token), form }
    })
    .await;
    let now = app.clock.now();
    let listed = match listed {
        Ok(listed) => listed,
        Err(next) => return app.store.crawl_page(&crawl, Vec::new(), next, now).await,
    };
    let channels = listed.channels.into_iter().map(Channel::from).collect::<Vec<_>>();
    let cursor = listed.response_metadata.next_cursor.filter(|cursor| !cursor.is_empty());
    let follows = match cursor {
        Some(cursor) => Some(format!("{nth}:{cursor}")),
        None => team.map(|_| format!("{}:", nth + 1)),
    };
    match follows {
        Some(cursor) => {
            let next = CrawlNext::Page { cursor, at: now.after(limits::CRAWL_PAUSE) };
            app.store.crawl_page(&crawl, channels, next, now).await
        }
        None => end(app, &crawl, channels).await,
    }
}

async fn end(app: &App, crawl: &Crawl, channels: Vec<Channel>) -> StoreResult<()> {
    let now = app.clock.now();
    // Workspaces that were connected together are not crawled together for ever.
    let spread = Duration::from_secs(app.rng.up_to(limits::CRAWL_AGAIN.as_secs() / 5));
    let next = CrawlNext::Done { at: now.after(limits::CRAWL_AGAIN).after(spread) };
    app.store.crawl_page(crawl, channels, next, now).await
}

/// Asks Slack for a page, at its pace; or when to ask again.
async fn list(acting: &Acting, make: impl Fn(Token) -> WebApiCall) -> Result<Listed, CrawlNext> {
    let soon = |at: Timestamp| CrawlNext::Failed { error: None, at };
    let error = match acting.call::<Listed>(make).await {
        Ok(reply) => return Ok(reply.answer),
        Err(error) => error,
    };
    let now = acting.app.clock.now();
    match error {
        ActingError::TooSoon { at, .. } => Err(soon(at)),
        // A cursor lives for a while only: from the beginning.
        ActingError::Call(CallError::Refused(Refusal::Error(word))) if word == "invalid_cursor" => {
            Err(CrawlNext::Page { cursor: "0:".to_owned(), at: now.after(limits::CRAWL_PAUSE) })
        }
        ActingError::Call(CallError::Refused(Refusal::Error(word)))
            if !matches!(errors::class(&word), Some(Class::Limited | Class::Unsure | Class::Later)) =>
        {
            Err(CrawlNext::Failed { error: Some(word), at: now.after(limits::CRAWL_FAILED) })
        }
        _ => Err(soon(now.after(limits::CRAWL_LEASE))),
    }
}

/// One channel, as Slack shows it now. `None`: it shows none of that id.
pub(crate) async fn look(acting: &Acting, id: &str) -> ApiResult<Option<Channel>> {
    #[derive(Deserialize)]
    struct One {
        channel: Shown,
    }
    let acting = acting.paced(limits::LOOK_UP_WAIT);
    let asked = acting.ask::<One>(|token| WebApiCall {
        method: "conversations.info",
        authorization: Authorization::Bearer(token),
        form: vec![("channel", id.to_owned())],
    });
    let channel = match asked.await {
        Ok(reply) => Channel::from(reply.answer.channel),
        Err(ActingError::TooSoon { at, why }) => {
            return Err(ApiError::too_soon(why, at.since(acting.app.clock.now())));
        }
        Err(_) => return Ok(None),
    };
    let store = &acting.app.store;
    let mut kept = store.channel_keep(&acting.tenant, acting.installation, &channel).await;
    if let (Ok(()), Some(dead)) = (&kept, &channel.dead) {
        let marked = store.channel_dead(&acting.tenant, acting.installation, &channel.id, Some(dead)).await;
        kept = marked.map(drop);
    }
    if let Err(error) = kept {
        tracing::warn!(error = %chain(&error), "a channel that Slack showed could not be kept");
    }
    Ok(Some(channel))
}

/// What Slack tells of a channel. Some of these events name it by its id, some hold all of it.
pub(super) async fn told(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    event: &str,
    payload: &Value,
) -> StoreResult<()> {
    let of = &payload["event"];
    let Some(id) = of["channel"].as_str().or_else(|| of["channel"]["id"].as_str()) else { return Ok(()) };
    let store = &app.store;
    let known = store.channel(tenant, installation, id).await?;
    let keep = async |change: &(dyn Fn(&mut Channel) + Sync)| match known.clone() {
        Some(mut channel) => {
            change(&mut channel);
            store.channel_keep(tenant, installation, &channel).await
        }
        None => store.crawl_ask(tenant, installation, app.clock.now()).await,
    };
    match event {
        "channel_created" => {
            let name = of["channel"]["name"].as_str().unwrap_or_default().to_owned();
            let new = Channel { id: id.to_owned(), name, is_private: false, is_member: false, dead: None };
            store.channel_keep(tenant, installation, &new).await
        }
        "channel_rename" | "group_rename" => {
            let name = of["channel"]["name"].as_str().unwrap_or_default();
            keep(&|channel| name.clone_into(&mut channel.name)).await
        }
        "channel_archive" | "group_archive" => {
            store.channel_dead(tenant, installation, id, Some("is_archived")).await.map(drop)
        }
        "channel_unarchive" | "group_unarchive" => {
            store.channel_dead(tenant, installation, id, None).await.map(drop)
        }
        "channel_deleted" | "group_deleted" => store.channel_forget(tenant, installation, id).await,
        "channel_left" => keep(&|channel| channel.is_member = false).await,
        "group_left" => store.channel_dead(tenant, installation, id, Some("not_in_channel")).await.map(drop),
        "member_joined_channel" => {
            let bot =
                store.installation(tenant, installation).await?.and_then(|found| found.facts.bot_user_id);
            if bot.is_some() && bot.as_deref() == of["user"].as_str() {
                keep(&|channel| channel.is_member = true).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
