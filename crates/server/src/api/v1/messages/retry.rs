//! `POST …/messages/{id}/retry`: send a message after all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use tautline_core::access::Scope;
use tautline_core::outbox::{Change, Changed, MessageState};
use tautline_core::{MessageId, limits};

use super::create::QueuedMessage;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};
use crate::outbound::accept::unknown;

/// Send a message after all.
///
/// One that failed, expired, was cancelled, or of which nobody knows whether Slack has it.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/messages/{id}/retry",
    tag = "messages",
    params(("id" = String, Path, description = "msg_…")),
    responses(
        (status = 202, description = "It waits again, for a day", body = QueuedMessage),
        (status = 404, description = "No such message of this tenant", body = ErrorBody),
        (status = 409, description = "It is sent, or on its way; or its words are no longer kept", body = ErrorBody),
    ),
)]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<(StatusCode, Json<QueuedMessage>)> {
    let (_, tenant) = caller.may(Scope::Send)?;
    let id: MessageId = id.parse().map_err(|_| unknown(&id))?;
    let now = app.clock.now();
    let retry = Change::Retry { expires_at: now.after(limits::MESSAGE_LIFE) };
    match app.store.message_change(&tenant, id, retry, now).await? {
        Changed::Now(_) => {
            app.sender.wake();
            Ok((StatusCode::ACCEPTED, Json(QueuedMessage::new(id))))
        }
        Changed::Unknown => Err(unknown(&id.to_string())),
        Changed::Not(state) if state.can_be_retried() && state != MessageState::Uncertain => {
            let error = "the message's words are no longer kept";
            Err(ApiError::new(StatusCode::CONFLICT, "not_kept", error).fix("send it anew"))
        }
        Changed::Not(state) => {
            let error = format!("the message is {}", state.as_str());
            Err(ApiError::new(StatusCode::CONFLICT, "not_retryable", error)
                .fix("what is queued, sending, uncertain or sent needs nobody's help"))
        }
    }
}
