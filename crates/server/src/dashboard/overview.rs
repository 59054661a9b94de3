//! `/`: what to do first, how far one is, and what is on.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tautline_core::PageRequest;
use tautline_core::access::Scope;
use tautline_core::inbox::{RequestFilter, Whose};
use tautline_core::outbox::MessageFilter;

use super::frame::{Frame, Section};
use crate::app::App;
use crate::auth::SignedIn;
use crate::installations::health;
use crate::page::{PageResult, render};
use crate::settings::OAuth;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    /// The newest workspace.
    workspace: Option<String>,
    has_requests: bool,
    has_messages: bool,
    features: Vec<Feature>,
    public_url: String,
}

struct Feature {
    name: &'static str,
    what: &'static str,
    /// What to set, when it is off.
    fix: Option<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, who: SignedIn) -> PageResult<Response> {
    let (tenant, newest) = (who.may(Scope::Read)?, PageRequest { limit: 1, after: None });
    let workspaces = app.store.installations(tenant, newest).await?.items;
    let requests = app.store.requests(Whose::Tenant(tenant), &RequestFilter::default(), newest).await?.items;
    let messages = app.store.messages(tenant, MessageFilter::default(), newest).await?.items;
    let page = Overview {
        frame: Frame::of(&app, &who, Section::Overview).await?,
        workspace: workspaces.into_iter().next().map(|installation| health::name(&installation)),
        has_requests: !requests.is_empty(),
        has_messages: !messages.is_empty(),
        features: features(&app),
        public_url: app.settings.public_url.as_str().trim_end_matches('/').to_owned(),
    };
    Ok(render(StatusCode::OK, &page))
}

fn features(app: &App) -> Vec<Feature> {
    let settings = &app.settings;
    let off = |missing: bool, fix: &str| missing.then(|| fix.to_owned());
    vec![
        Feature {
            name: "Inbound",
            what: "what Slack sends is verified and kept",
            fix: off(settings.signing_secrets.is_empty(), "set SLACK_SIGNING_SECRET"),
        },
        Feature {
            name: "Connect",
            what: "workspaces can be connected",
            fix: match &settings.oauth {
                OAuth::On(_) => None,
                OAuth::Off { fix } => Some(fix.clone()),
            },
        },
        Feature {
            name: "Dispatch",
            what: "requests reach a handler",
            fix: off(!app.has_endpoints(), "set TAUTLINE_FORWARD_URL and TAUTLINE_FORWARD_SECRET"),
        },
    ]
}
