//! `GET …/connect-links/{secret}`: somebody with a link begins to connect a workspace.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tautline_core::SecretHash;
use tautline_core::connect::ConnectState;

use super::ending::Ending;
use super::start::{client, to_slack};
use crate::app::App;
use crate::error::{ApiPath, ApiQuery};

/// Open a connect link.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/connect-links/{secret}",
    tag = "installations",
    params(
        ("secret" = String, Path, description = "The link's secret"),
        ("team" = Option<String>, Query, description = "The workspace to show first (T…): a hint"),
    ),
    responses(
        (status = 302, description = "To Slack's consent page, with a fresh state and cookie"),
        (status = 410, description = "Used, or too old"),
        (status = 503, description = "OAuth is off"),
    ),
    security(()),
)]
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    ApiPath(secret): ApiPath<String>,
    ApiQuery(hint): ApiQuery<Hint>,
) -> Response {
    try_open(&app, &secret, hint.team.as_deref()).await.unwrap_or_else(IntoResponse::into_response)
}

#[derive(Deserialize)]
pub(crate) struct Hint {
    team: Option<String>,
}

async fn try_open(app: &App, secret: &str, team: Option<&str>) -> Result<Response, Ending> {
    if let Err(off) = client(app) {
        return Err(Ending::Off { fix: off.fix_text().unwrap_or_default().to_owned() });
    }
    let now = app.clock.now();
    let link = app.store.connect_link(SecretHash::of(secret), now).await?.ok_or(Ending::LinkUnknown)?;
    let state = ConnectState {
        link: Some(link.id.to_string()),
        return_to: link.return_to,
        ..ConnectState::new(&link.tenant, "a connect link", now, app.rng.as_ref())
    };
    to_slack(app, &state, team)
        .map_err(|off| Ending::Off { fix: off.fix_text().unwrap_or_default().to_owned() })
}
