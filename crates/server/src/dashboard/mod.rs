//! `/`: what runs here, and where to go.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::app::App;
use crate::page::{self, render};
use crate::settings::OAuth;

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    features: Vec<Feature>,
    /// The simulated Slack's address, when there is no real one behind this gateway.
    simulated_slack: Option<String>,
}

struct Feature {
    name: &'static str,
    /// What to set, when it is off.
    fix: Option<String>,
}

pub(crate) async fn index(State(app): State<Arc<App>>) -> Response {
    let settings = &app.settings;
    let off = |missing: bool, fix: &str| missing.then(|| fix.to_owned());
    let features = vec![
        Feature {
            name: "Inbound",
            fix: off(settings.signing_secrets.is_empty(), "set SLACK_SIGNING_SECRET"),
        },
        Feature {
            name: "Connect",
            fix: match &settings.oauth {
                OAuth::On(_) => None,
                OAuth::Off { fix } => Some(fix.clone()),
            },
        },
        Feature {
            name: "Dispatch",
            fix: off(app.endpoints.is_empty(), "set TAUTLINE_FORWARD_URL and TAUTLINE_FORWARD_SECRET"),
        },
    ];
    let on_loopback = settings.slack_url.scheme() == "http";
    let simulated_slack = on_loopback.then(|| settings.slack_url.to_string());
    render(StatusCode::OK, &Index { features, simulated_slack })
}

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE).into_response()
}
