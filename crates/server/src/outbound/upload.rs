//! A file on its way to Slack: asked for a place, and passed on as it comes. Nobody sees it until a message shows it.

use std::sync::Arc;

use axum::body::Body;
use http::StatusCode;
use serde::Deserialize;
use tautline_core::{InstallationId, TenantId, limits};
use tautline_slack::web_api::Authorization;
use tautline_slack::{Refusal, WebApiCall};
use url::Url;

use crate::app::App;
use crate::egress::{CallError, describe, is_slacks_file};
use crate::error::{ApiError, ApiResult, chain};
use crate::installations::acting::{Acting, ActingError};

/// Puts a file into Slack. Its id.
pub(crate) async fn upload(
    app: &Arc<App>,
    tenant: &TenantId,
    installation: InstallationId,
    filename: &str,
    length: u64,
    body: Body,
) -> ApiResult<String> {
    #[derive(Deserialize)]
    struct Place {
        upload_url: String,
        file_id: String,
    }
    let acting = Acting::bot(app, tenant, installation).paced(limits::PROXY_WAIT);
    let place = acting.call::<Place>(|token| WebApiCall {
        method: "files.getUploadURLExternal",
        authorization: Authorization::Bearer(token),
        form: vec![("filename", filename.to_owned()), ("length", length.to_string())],
    });
    let place = place.await.map_err(|error| refused(app, error))?.answer;
    let url = Url::parse(&place.upload_url).ok().filter(|url| is_slacks_file(url, &app.settings.slack_url));
    let url = url.ok_or_else(|| not_taken("Slack named an upload address that is none of its own"))?;
    match app.slack.put_file(url, length, body).await {
        Ok(status) if status.is_success() => Ok(place.file_id),
        Ok(status) => Err(not_taken(format!("Slack answered {status} to the file"))),
        Err(error) => Err(not_taken(format!("the file did not arrive: {}", describe(error)))),
    }
}

fn not_taken(error: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_GATEWAY, "upload_failed", error.into())
        .fix("send it again; nobody has seen anything of it")
}

fn refused(app: &App, error: ActingError) -> ApiError {
    match error {
        ActingError::Store(error) => error.into(),
        ActingError::TooSoon { at, why } => ApiError::too_soon(why, at.since(app.clock.now())),
        ActingError::Call(CallError::Refused(Refusal::Error(word))) => {
            let error =
                ApiError::new(StatusCode::BAD_GATEWAY, "slack_refused", format!("Slack said {word:?}"));
            match tautline_slack::errors::remedy(&word) {
                Some(fix) => error.fix(fix),
                None => error,
            }
        }
        error => not_taken(chain(&error)),
    }
}
