//! `GET …/installations/{id}/channels`: find a channel of a workspace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::channel::Channel;
use tautline_core::{InstallationId, limits};
use tautline_slack::errors::remedy;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiQuery, ApiResult, ErrorBody};
use crate::installations::acting::Acting;
use crate::installations::directory;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// A part of the name, with or without `#`; or the channel as Slack writes it: an id, a mention `<#C…>`, a link.
    #[param(example = "deploys")]
    #[serde(default)]
    q: String,
    /// 1 to 500; 20 unless asked for.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FoundChannels {
    /// Those whose names begin with what is looked for come first.
    channels: Vec<ChannelBody>,
    /// RFC 3339: when the workspace was last looked through. Null: not yet.
    crawled_at: Option<String>,
    /// Slack's word why the last look failed.
    error: Option<String>,
    /// What to do about that; or when the channel is not among them.
    fix: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelBody {
    #[schema(example = "C0123456789")]
    id: String,
    /// Without `#`.
    name: String,
    is_private: bool,
    /// Whether the app is in it.
    is_member: bool,
    /// Slack's word why nothing can be posted there.
    error: Option<String>,
    /// What to do about it.
    fix: Option<&'static str>,
}

impl From<Channel> for ChannelBody {
    fn from(channel: Channel) -> Self {
        Self {
            fix: channel.dead.as_deref().and_then(remedy),
            id: channel.id,
            name: channel.name,
            is_private: channel.is_private,
            is_member: channel.is_member,
            error: channel.dead,
        }
    }
}

/// Find a channel of a workspace.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/installations/{id}/channels",
    tag = "installations",
    params(("id" = String, Path, description = "ins_…"), Wanted),
    responses(
        (status = 200, description = "What was found", body = FoundChannels),
        (status = 404, description = "No such installation of this tenant", body = ErrorBody),
        (status = 429, description = "Slack shows no more single channels yet", body = ErrorBody),
    ),
)]
pub(crate) async fn channels(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<Json<FoundChannels>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let unknown = || {
        ApiError::not_found("installation_unknown", format!("there is no installation {id:?} of this tenant"))
            .fix("GET /api/v1/integrations/slack/installations lists them")
    };
    let id: InstallationId = id.parse().map_err(|_| unknown())?;
    app.store.installation(&tenant, id).await?.ok_or_else(unknown)?;
    let limit = wanted.limit.unwrap_or(limits::CHANNELS_SHOWN).clamp(1, limits::PAGE_MAX);
    let q = wanted.q.trim();
    let found = match pasted(q) {
        Some(pasted) => match app.store.channel(&tenant, id, pasted).await? {
            Some(known) => vec![known],
            // A private one is in no list until the app is in it; Slack shows it by its id.
            None => directory::look(&Acting::bot(&app, &tenant, id), pasted).await?.into_iter().collect(),
        },
        None => app.store.channels(&tenant, id, q.trim_start_matches('#'), limit).await?,
    };
    let state = app.store.directory(&tenant, id).await?;
    if state.is_none() {
        // Connected by a server that knew no directory.
        app.store.crawl_ask(&tenant, id, app.clock.now()).await?;
    }
    let state = state.unwrap_or_default();
    Ok(Json(FoundChannels {
        fix: fix(found.is_empty(), state.error.as_deref(), state.crawled_at.is_some()),
        channels: found.into_iter().map(ChannelBody::from).collect(),
        crawled_at: state.crawled_at.map(|at| at.to_string()),
        error: state.error,
    }))
}

fn fix(is_empty: bool, error: Option<&str>, was_crawled: bool) -> Option<String> {
    match (error, is_empty) {
        (Some("missing_scope"), _) => Some(
            "add channels:read and groups:read to SLACK_BOT_SCOPES, and have the workspace connected again".to_owned(),
        ),
        (Some(error), _) => remedy(error).map(str::to_owned),
        (None, true) if !was_crawled => Some("the workspace is being looked through: ask again in a moment".to_owned()),
        (None, true) => Some(
            "if the channel is private, invite the app to it in Slack (/invite @app), and paste its link or id here"
                .to_owned(),
        ),
        (None, false) => None,
    }
}

/// The id in what somebody pasted: `C…`, `<#C…|name>`, or a link to the channel.
fn pasted(q: &str) -> Option<&str> {
    let inner = q.strip_prefix("<#").map_or(q, |rest| rest.split(['|', '>']).next().unwrap_or_default());
    let last = match inner.split_once("/archives/") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None => inner,
    };
    let is_id = last.len() >= 9
        && last.starts_with(['C', 'G', 'D'])
        && last.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_id.then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_what_people_paste() {
        for text in [
            "C0123456789",
            "<#C0123456789|general>",
            "<#C0123456789>",
            "https://acme.slack.com/archives/C0123456789",
            "https://acme.slack.com/archives/C0123456789/p1700000000000100?x=y",
        ] {
            assert_eq!(pasted(text), Some("C0123456789"), "{text}");
        }
        for text in ["general", "#general", "C1", "Cafeteria", "COFFEE-BREAK", ""] {
            assert_eq!(pasted(text), None, "{text}");
        }
    }
}
