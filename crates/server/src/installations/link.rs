//! `GET …/connect-links/{secret}`: somebody with a link begins to connect a workspace.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tautline_core::SecretHash;
use tautline_core::connect::ConnectState;

use super::ending::Ending;
use super::start::{client, to_slack};
use crate::app::App;
use crate::error::ApiPath;

/// Open a connect link.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/connect-links/{secret}",
    tag = "installations",
    params(("secret" = String, Path, description = "The link's secret")),
    responses(
        (status = 302, description = "To Slack's consent page, with a fresh state and cookie"),
        (status = 410, description = "Used, or too old"),
        (status = 503, description = "OAuth is off"),
    ),
    security(()),
)]
pub(crate) async fn open(State(app): State<Arc<App>>, ApiPath(secret): ApiPath<String>) -> Response {
    try_open(&app, &secret).await.unwrap_or_else(IntoResponse::into_response)
}

async fn try_open(app: &App, secret: &str) -> Result<Response, Ending> {
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
    to_slack(app, &state).map_err(|off| Ending::Off { fix: off.fix_text().unwrap_or_default().to_owned() })
}
