//! `/channels/slack`: a tenant's workspaces, and the button that connects one.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tautline_core::Timestamp;
use tautline_core::access::Scope;
use tautline_core::installation::{Health, Installation};
use tautline_slack::scopes;

use super::bits::{Badge, Moment};
use super::frame::{Frame, Section};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::SignedIn;
use crate::error::ApiQuery;
use crate::page::{PageResult, Tone, render};
use crate::settings::OAuth;

#[derive(Template)]
#[template(path = "channels.html")]
struct Channels {
    frame: Frame,
    workspaces: Vec<Workspace>,
    older: Option<String>,
    /// What to do before one can connect; `None`: one can.
    off: Option<String>,
    may_connect: bool,
    just_connected: bool,
}

struct Workspace {
    name: String,
    place: String,
    health: Badge,
    is_broken: bool,
    connected: Moment,
    org: Option<String>,
    scopes: Vec<String>,
    missing: Vec<String>,
}

/// How long a workspace is said to be new.
const JUST: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
pub(super) struct Asked {
    connected: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    who: SignedIn,
    ApiQuery(asked): ApiQuery<Asked>,
) -> PageResult<Response> {
    let tenant = who.may(Scope::Read)?;
    let found = app.store.installations(tenant, page(None, asked.cursor.as_deref())?).await?;
    let now = app.clock.now();
    let wanted = &app.settings.bot_scopes;
    let page = Channels {
        frame: Frame::of(&app, &who, Section::Channels).await?,
        // Not on every later look at the same address.
        just_connected: asked.connected.is_some()
            && found.items.iter().any(|each| now.since(each.updated_at) < JUST),
        workspaces: found.items.into_iter().map(|found| workspace(found, wanted, now)).collect(),
        older: found.next.map(|cursor| cursor.encode()),
        off: match &app.settings.oauth {
            OAuth::On(_) => None,
            OAuth::Off { fix } => Some(fix.clone()),
        },
        may_connect: who.can(Scope::Manage),
    };
    Ok(render(StatusCode::OK, &page))
}

/// What people call a workspace or org.
pub(super) fn name(installation: &Installation) -> String {
    let facts = &installation.facts;
    let place = facts.key().map(|key| key.to_string()).unwrap_or_default();
    let named = facts.team_name.clone().or_else(|| facts.enterprise_name.clone());
    named.unwrap_or_else(|| place.split('/').next_back().unwrap_or_default().to_owned())
}

fn workspace(installation: Installation, wanted: &[String], now: Timestamp) -> Workspace {
    let name = name(&installation);
    let Installation { facts, health, updated_at, .. } = installation;
    let org = facts.enterprise_name.clone().or_else(|| facts.enterprise.as_ref().map(ToString::to_string));
    let missing = scopes::missing(wanted, &facts.scopes);
    let health_badge = match health {
        Health::Connected if missing.is_empty() => Badge::new("connected", Tone::Good),
        Health::Connected => Badge::new("connected, scopes missing", Tone::Waiting),
        Health::Broken => Badge::new("broken", Tone::Bad),
    };
    Workspace {
        name,
        place: facts.team.map(|team| team.to_string()).unwrap_or_else(|| "the whole org".to_owned()),
        is_broken: health == Health::Broken,
        health: health_badge,
        connected: Moment::of(updated_at, now),
        org,
        missing,
        scopes: facts.scopes,
    }
}
