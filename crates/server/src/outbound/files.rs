//! `GET /slack/files?url=…`: a private file of Slack's, with a gateway key in place of a token.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;
use url::Url;
use utoipa::IntoParams;

use super::refusal::SlackShaped;
use super::standing::acting_for;
use crate::app::App;
use crate::auth;
use crate::auth::address::{self, Peer};
use crate::egress::{describe, is_slacks_file};
use crate::error::{ApiError, ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// A file's `url_private` or `url_private_download`.
    #[serde(default)]
    #[param(example = "https://files.slack.com/files-pri/T0123-F0123/report.pdf")]
    url: String,
}

/// What of Slack's answer is passed on.
const PASSED: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
];

/// Download a private file of Slack's.
#[utoipa::path(
    get,
    path = "/slack/files",
    tag = "outbound",
    description = "The key as for `/slack/api/`: `KEY`, or `KEY.T0123` where there are several workspaces. Needs the scope files:read in Slack.",
    params(Wanted),
    responses(
        (status = 200, description = "The file, as it is"),
        (status = 206, description = "The part of it that Range asked for"),
        (status = 400, description = "The URL is none of a file of Slack's", body = ErrorBody),
        (status = 401, description = "No key, or an unknown one", body = ErrorBody),
        (status = 403, description = "Slack does not give it to this workspace's app", body = ErrorBody),
        (status = 404, description = "No such workspace of this tenant", body = ErrorBody),
        (status = 502, description = "Slack did not answer", body = ErrorBody),
    ),
)]
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Response {
    let from = address::from(peer.map(|Extension(peer)| peer), &headers, &app.settings.trusted_proxies);
    let key = auth::bearer(&headers).unwrap_or_default();
    let acting = match acting_for(&app, key, &headers, from).await {
        Ok(acting) => acting,
        Err(refused) => return with_status(refused),
    };
    let token = match acting.token().await {
        Ok(Some(token)) => token,
        Ok(None) => return forbidden().into_response(),
        Err(error) => return ApiError::from(error).into_response(),
    };
    let file = match file(&app, &wanted.url) {
        Ok(file) => file,
        Err(refused) => return refused.into_response(),
    };
    let range = headers.get(header::RANGE).cloned();
    match app.slack.file(file, &token.token, range).await {
        Ok(answer) => passed_on(answer),
        Err(error) => {
            let error = describe(error);
            tracing::warn!(error, "a file could not be had from Slack");
            ApiError::new(StatusCode::BAD_GATEWAY, "slack_unavailable", "Slack did not answer")
                .fix("try again")
                .into_response()
        }
    }
}

/// The address of a file: the token goes there, so it is Slack's or nobody's.
fn file(app: &App, url: &str) -> ApiResult<Url> {
    Url::parse(url).ok().filter(|url| is_slacks_file(url, &app.settings.slack_url)).ok_or_else(|| {
        ApiError::bad_request("invalid_url", "this is no file of Slack's")
            .fix("give a file's url_private: it begins with https://files.slack.com/")
    })
}

fn passed_on(answer: reqwest::Response) -> Response {
    let status = answer.status();
    let text = |name: &HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    // To whom it gives nothing, Slack shows where to sign in.
    let is_page = text(&header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"))
        && text(&header::CONTENT_DISPOSITION).is_none();
    if status.is_redirection() || is_page {
        return forbidden().into_response();
    }
    let headers = answer.headers().clone();
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    for name in PASSED {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn forbidden() -> ApiError {
    let error = "Slack does not give this file to this workspace's app";
    ApiError::new(StatusCode::FORBIDDEN, "file_forbidden", error).fix(
        "add files:read to SLACK_BOT_SCOPES, have the workspace connected again, and the app in the channel",
    )
}

/// Whoever downloads looks at the status; Slack's own way is 200 for everything.
fn with_status(refused: SlackShaped) -> Response {
    let (status, code, fix) = match refused.error() {
        "invalid_auth" => {
            (StatusCode::UNAUTHORIZED, "unauthorized", "send a gateway key as Authorization: Bearer …")
        }
        "missing_scope" => {
            (StatusCode::FORBIDDEN, "scope_missing", "make a key whose scopes include \"send\"")
        }
        "team_not_found" | "account_inactive" => (
            StatusCode::NOT_FOUND,
            "team_unknown",
            "name a workspace that is connected: KEY.T0123 in place of the key",
        ),
        // What is no refusal has its status already.
        _ => return refused.into_response(),
    };
    ApiError::new(status, code, refused.message()).fix(fix).into_response()
}
