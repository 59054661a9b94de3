//! `POST …/messages`: say something in a tenant's Slack.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::MessageId;
use tautline_core::access::Scope;
use tautline_core::outbox::MessageState;
use utoipa::ToSchema;

use super::wanted::NewMessage;
use crate::api::v1::creating::Creating;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiResult, ErrorBody};
use crate::outbound::accept::accept;

#[derive(Serialize, ToSchema)]
pub(crate) struct QueuedMessage {
    #[schema(value_type = String, example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: MessageId,
    /// `queued`: it is durable, and goes out in its turn.
    state: &'static str,
    /// The others, where a route leads to several channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    also: Vec<MessageId>,
}

impl QueuedMessage {
    pub(super) fn new(id: MessageId) -> Self {
        Self { id, state: MessageState::Queued.as_str(), also: Vec::new() }
    }

    pub(super) fn of((id, also): (MessageId, Vec<MessageId>)) -> Self {
        Self { also, ..Self::new(id) }
    }
}

/// Say something in Slack.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/messages",
    tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body send one message, and answer the same")),
    request_body = NewMessage,
    responses(
        (status = 202, description = "Durable; it goes out in its turn", body = QueuedMessage),
        (status = 400, description = "Nothing to say, or nobody to say it to", body = ErrorBody),
        (status = 404, description = "No such workspace or message of this tenant", body = ErrorBody),
        (status = 409, description = "No workspace is connected, it lacks a scope, or the Idempotency-Key was used for another message", body = ErrorBody),
        (status = 429, description = "Too many of this tenant's messages wait", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    creating: Creating<NewMessage>,
) -> ApiResult<(StatusCode, Json<QueuedMessage>)> {
    let (caller, tenant) = caller.may(Scope::Send)?;
    let once = creating.key_of(&caller, tenant.as_str(), app.clock.now());
    let accepted = accept(&app, &tenant, creating.body.wish()?, once).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedMessage::of(accepted))))
}
