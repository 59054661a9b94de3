//! `POST …/messages/batch`: say several things in a tenant's Slack.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::limits;
use utoipa::ToSchema;

use super::create::QueuedMessage;
use super::wanted::NewMessage;
use crate::api::v1::creating::Creating;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiResult, ErrorBody};
use crate::outbound::accept::accept;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessages {
    /// At most 100.
    messages: Vec<NewMessage>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct QueuedMessages {
    /// In the order in which they were asked for.
    messages: Vec<Outcome>,
}

/// What became of one of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Queued(QueuedMessage),
    Refused(ErrorBody),
}

/// Say several things in Slack.
///
/// Each is accepted or refused by itself, if the whole can be read; messages to one channel keep their order.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/messages/batch",
    tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body send each message once, and answer the same")),
    request_body = NewMessages,
    responses(
        (status = 202, description = "What became of each", body = QueuedMessages),
        (status = 400, description = "No messages, or more than 100", body = ErrorBody),
    ),
)]
pub(crate) async fn batch(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    creating: Creating<NewMessages>,
) -> ApiResult<(StatusCode, Json<QueuedMessages>)> {
    let (caller, tenant) = caller.may(Scope::Send)?;
    let once = creating.key_of(&caller, tenant.as_str(), app.clock.now());
    let wanted = creating.body.messages;
    if wanted.is_empty() || wanted.len() > limits::MESSAGE_BATCH {
        let most = limits::MESSAGE_BATCH;
        let error = format!("a batch holds from 1 to {most} messages, and this one {}", wanted.len());
        return Err(ApiError::bad_request("invalid_batch", error).fix("send them in several batches"));
    }
    // One after the other: they keep their order.
    let mut messages = Vec::new();
    for (nth, wanted) in wanted.into_iter().enumerate() {
        // Each has its own place under the key.
        let nth_of =
            |key: IdempotencyKey| IdempotencyKey { scope: format!("{}|batch {nth}", key.scope), ..key };
        let accepted = match wanted.wish() {
            Ok(wish) => accept(&app, &tenant, wish, once.clone().map(nth_of)).await,
            Err(refused) => Err(refused),
        };
        messages.push(match accepted {
            Ok(accepted) => Outcome::Queued(QueuedMessage::of(accepted)),
            Err(refused) => Outcome::Refused(refused.into_body()),
        });
    }
    Ok((StatusCode::ACCEPTED, Json(QueuedMessages { messages })))
}
