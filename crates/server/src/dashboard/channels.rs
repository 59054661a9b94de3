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
use tautline_core::standing::Problem;

use super::bits::{Badge, Moment};
use super::frame::{Frame, Section};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::SignedIn;
use crate::error::ApiQuery;
use crate::installations::health::{self, Looked};
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
    connected: Moment,
    /// When the last request of it came.
    heard: Option<Moment>,
    org: Option<String>,
    scopes: Vec<String>,
    /// What to do something about, the worst first.
    problems: Vec<Problem>,
    /// Where it is connected again.
    reconnect: String,
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
    let looked = health::look(&app, tenant, found.items).await?;
    let now = app.clock.now();
    let page = Channels {
        frame: Frame::of(&app, &who, Section::Channels).await?,
        // Not on every later look at the same address.
        just_connected: asked.connected.is_some()
            && looked.iter().any(|each| now.since(each.installation.updated_at) < JUST),
        workspaces: looked.into_iter().map(|looked| workspace(&app, looked, now)).collect(),
        older: found.next.map(|cursor| cursor.encode()),
        off: match &app.settings.oauth {
            OAuth::On(_) => None,
            OAuth::Off { fix } => Some(fix.clone()),
        },
        may_connect: who.can(Scope::Manage),
    };
    Ok(render(StatusCode::OK, &page))
}

fn workspace(app: &App, looked: Looked, now: Timestamp) -> Workspace {
    let name = health::name(&looked.installation);
    let Looked { installation: Installation { facts, health, updated_at, .. }, standing, problems } = looked;
    let org = facts.enterprise_name.clone().or_else(|| facts.enterprise.as_ref().map(ToString::to_string));
    let health_badge = match health {
        Health::Connected if problems.is_empty() => Badge::new("connected", Tone::Good),
        Health::Connected => Badge::new("connected, needs a look", Tone::Waiting),
        Health::Broken => Badge::new("broken", Tone::Bad),
    };
    Workspace {
        name,
        place: facts.team.as_ref().map(ToString::to_string).unwrap_or_else(|| "the whole org".to_owned()),
        health: health_badge,
        connected: Moment::of(updated_at, now),
        heard: standing.last_event_at.map(|at| Moment::of(at, now)),
        org,
        problems,
        reconnect: health::reconnect_url(app, &facts).into(),
        scopes: facts.scopes,
    }
}
