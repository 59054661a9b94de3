//! `GET …/oauth/start`: an operator begins to connect a workspace.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use tautline_core::access::{Caller, Scope};
use tautline_core::connect::ConnectState;
use tautline_core::{Purpose, TenantId};
use tautline_slack::oauth;

use crate::app::App;
use crate::auth::{ForTenant, SignedIn};
use crate::cookie;
use crate::dashboard::sign_in;
use crate::error::{ApiError, ApiQuery, ApiResult};
use crate::page::{PageError, wants_html};
use crate::settings::OAuth;

#[derive(Deserialize)]
pub(crate) struct Start {
    return_to: Option<String>,
    team: Option<String>,
}

/// Begin to connect a workspace.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/oauth/start",
    tag = "installations",
    params(
        ("return_to" = Option<String>, Query, description = "Where to go afterwards: our own origin, or one of TAUTLINE_RETURN_ORIGINS"),
        ("team" = Option<String>, Query, description = "The workspace to show first (T…), if the person is signed in there. A hint: what is connected is what Slack says was chosen"),
    ),
    responses(
        (status = 302, description = "To Slack's consent page"),
        (status = 401, description = "No credentials", body = crate::error::ErrorBody),
        (status = 503, description = "OAuth is off", body = crate::error::ErrorBody),
    ),
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<Start>,
    mut parts: Parts,
) -> Response {
    match try_start(&app, query, &mut parts).await {
        Ok(response) => response,
        Err(error) if !wants_html(&parts.headers) => error.into_response(),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            error.log();
            sign_in::asked(&app, parts.uri.path_and_query().map(ToString::to_string))
        }
        Err(error) => PageError::from(error).into_response(),
    }
}

async fn try_start(app: &Arc<App>, query: Start, parts: &mut Parts) -> ApiResult<Response> {
    client(app)?;
    let (caller, tenant) = operator(app, parts).await?;
    let return_to = checked_return_to(app, query.return_to)?;
    let mut state = ConnectState::new(&tenant, &caller.name, app.clock.now(), app.rng.as_ref());
    state.return_to = return_to;
    to_slack(app, &state, query.team.as_deref())
}

/// Whoever starts: with a key, or signed in at the dashboard.
async fn operator(app: &Arc<App>, parts: &mut Parts) -> ApiResult<(Caller, TenantId)> {
    if !parts.headers.contains_key(header::AUTHORIZATION)
        && let Some(signed_in) = SignedIn::find(app, &parts.headers).await?
    {
        signed_in.may(Scope::Manage)?;
        return Ok(signed_in.into_caller());
    }
    ForTenant::from_request_parts(parts, app).await?.may(Scope::Manage)
}

/// The app's credentials, or why there are none.
pub(crate) fn client(app: &App) -> ApiResult<&oauth::Client> {
    match &app.settings.oauth {
        OAuth::On(client) => Ok(client),
        OAuth::Off { fix } => {
            let off =
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "oauth_off", "connecting workspaces is off");
            Err(off.fix(fix.clone()))
        }
    }
}

/// A place to return to that is ours or allowed.
pub(crate) fn checked_return_to(app: &App, return_to: Option<String>) -> ApiResult<Option<String>> {
    let Some(target) = return_to else { return Ok(None) };
    match app.settings.return_url(&target) {
        Some(url) => Ok(Some(url.into())),
        None => {
            Err(ApiError::bad_request("return_to_refused", "return_to leads somewhere that is not allowed")
                .fix("use a path of this gateway, or add the origin to TAUTLINE_RETURN_ORIGINS"))
        }
    }
}

fn is_team(text: &str) -> bool {
    text.len() <= 24 && text.starts_with(['T', 'E']) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// To Slack's consent page, with the state in the URL and its nonce in the browser.
pub(super) fn to_slack(app: &App, state: &ConnectState, team: Option<&str>) -> ApiResult<Response> {
    let client = client(app)?;
    let sealed = state.seal(Purpose::OAuthState, app.vault.as_ref());
    let settings = &app.settings;
    let redirect_uri = settings.redirect_uri.as_str();
    let mut url =
        oauth::authorize_url(&settings.slack_url, &client.id, &settings.bot_scopes, redirect_uri, &sealed);
    if let Some(team) = team.filter(|team| is_team(team)) {
        url.query_pairs_mut().append_pair("team", team);
    }
    let location = HeaderValue::try_from(url.as_str()).expect("URLs are ASCII");
    let headers =
        [(header::LOCATION, location), (header::SET_COOKIE, cookie::CONNECT.set(settings, &state.nonce))];
    Ok((StatusCode::FOUND, headers).into_response())
}
