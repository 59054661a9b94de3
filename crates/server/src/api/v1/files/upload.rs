//! `POST …/files`: show a file in a tenant's Slack.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tautline_core::access::Scope;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::operation::Operation;
use tautline_core::outbox::MessageState;
use tautline_core::{MessageId, limits};
use tautline_slack::outgoing::Arguments;
use utoipa::{IntoParams, ToSchema};

use crate::api::v1::creating::key_in;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiQuery, ApiResult, ErrorBody};
use crate::outbound::accept::{Address, Wish, accept, before};
use crate::outbound::upload::upload;
use crate::outbound::workspace::installation;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// A channel's id.
    #[param(example = "C0123456789")]
    channel: String,
    /// How the file is called.
    #[param(example = "report.pdf")]
    filename: String,
    title: Option<String>,
    /// What is said with it.
    initial_comment: Option<String>,
    /// The message in Slack that it answers.
    thread_ts: Option<String>,
    /// Which workspace, when the tenant has several: `T…`, or `E…` for an org.
    team_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct QueuedFile {
    /// The message that shows it.
    #[schema(value_type = String, example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: MessageId,
    /// `queued`: Slack has the file, and shows it in the channel's turn.
    state: &'static str,
    /// Slack's name for the file; null when the same was asked before.
    file: Option<String>,
}

/// Show a file in Slack.
///
/// The body is the file, with its Content-Length; it is passed on to Slack as it comes. Nobody sees it before the message that
/// shows it has gone out.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/files",
    tag = "messages",
    params(Wanted, ("Idempotency-Key" = Option<String>, Header, description = "The same key, query and length show one file, and answer the same")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 202, description = "Slack has it; it is shown in its channel's turn", body = QueuedFile),
        (status = 400, description = "An empty file, or no channel's id", body = ErrorBody),
        (status = 409, description = "No workspace is connected, or it has not granted files:write", body = ErrorBody),
        (status = 411, description = "It does not say how long it is", body = ErrorBody),
        (status = 413, description = "It is larger than 1 GiB", body = ErrorBody),
        (status = 415, description = "A form, and not the file itself", body = ErrorBody),
        (status = 429, description = "Slack takes no more of this workspace's files yet (`too_soon`), or too many of this tenant's messages wait (`outbox_full`)", body = ErrorBody),
        (status = 502, description = "Slack did not take the file", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    headers: HeaderMap,
    ApiQuery(wanted): ApiQuery<Wanted>,
    body: Body,
) -> ApiResult<(StatusCode, Json<QueuedFile>)> {
    let (caller, tenant) = caller.may(Scope::Send)?;
    let is_form =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    if is_form {
        let error = "the body is a form, and not the file itself";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_a_file", error)
            .fix("send the bytes alone, as with curl --data-binary @report.pdf"));
    }
    let length = length(&headers)?;
    let once = key_in(&headers)?.map(|key| IdempotencyKey {
        scope: format!("{}|{tenant}|files", caller.name),
        key,
        request: Sha256::digest(format!("{wanted:?} {length}")).into(),
        at: app.clock.now(),
    });
    let state = MessageState::Queued.as_str();
    if let Some(id) = before(&app, once.as_ref()).await? {
        return Ok((StatusCode::ACCEPTED, Json(QueuedFile { id, state, file: None })));
    }
    if !wanted.channel.starts_with(['C', 'G', 'D']) || wanted.channel.len() > limits::CHANNEL_CHARS {
        return Err(ApiError::bad_request("invalid_channel", "channel is no channel's id")
            .fix("give the id that Slack gives the channel, such as C0123456789"));
    }
    let found = installation(&app, &tenant, wanted.team_id.as_deref(), Operation::Share).await?;
    let file = upload(&app, &tenant, found.id, &wanted.filename, length, body).await?;
    let title = wanted.title.as_deref().unwrap_or(&wanted.filename);
    let mut arguments = Arguments::from_iter([("files".to_owned(), json!([{ "id": file, "title": title }]))]);
    let said = [("initial_comment", wanted.initial_comment), ("thread_ts", wanted.thread_ts)];
    arguments.extend(said.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said?.into()))));
    let wish = Wish {
        place: wanted.team_id,
        operation: Operation::Share,
        ..Wish::post(Address::Channel(wanted.channel), arguments)
    };
    let (id, _) = accept(&app, &tenant, wish, once).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedFile { id, state, file: Some(file) })))
}

fn length(headers: &HeaderMap) -> ApiResult<u64> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(0) => {
            Err(ApiError::bad_request("empty_file", "the file is empty").fix("send its bytes as the body"))
        }
        Some(length) if length > limits::UPLOAD_BYTES => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "file_too_large",
            "the file is larger than 1 GiB",
        )
        .fix("send a link to it instead")),
        Some(length) => Ok(length),
        None => Err(ApiError::new(
            StatusCode::LENGTH_REQUIRED,
            "length_required",
            "it does not say how long it is",
        )
        .fix("send Content-Length: Slack wants to know before it takes a file")),
    }
}
