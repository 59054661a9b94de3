//! `PATCH …/messages/{id}`: give a message other words.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tautline_core::access::Scope;
use tautline_core::operation::Operation;
use tautline_core::outbox::{Message, MessageState};
use tautline_slack::outgoing::Arguments;
use utoipa::ToSchema;

use super::create::QueuedMessage;
use super::wanted::arguments;
use crate::api::v1::creating::Creating;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};
use crate::outbound::accept::{self, Address, Wish, accept, known, unknown};
use crate::outbound::check::check;

/// What it is to say instead: all of it.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherWords {
    /// At most 4,000 characters: Slack takes less than in a new message.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown_text: Option<String>,
    #[schema(value_type = Option<Vec<Object>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<Vec<Value>>,
    #[schema(value_type = Option<Vec<Object>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<Vec<Value>>,
    /// Left out, it stays as it is.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_names: Option<bool>,
}

/// Give a message other words.
///
/// One that was not tried yet goes out with them. One that is out is changed in its channel's turn, which is a message of its
/// own.
#[utoipa::path(
    patch,
    path = "/api/v1/integrations/slack/messages/{id}",
    tag = "messages",
    params(
        ("id" = String, Path, description = "msg_…"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and body change it once, and answer the same"),
    ),
    request_body = OtherWords,
    responses(
        (status = 202, description = "Durable; the id is that of the change, or of the message where it had not gone out", body = QueuedMessage),
        (status = 400, description = "Nothing to say, or too much", body = ErrorBody),
        (status = 404, description = "No such message of this tenant", body = ErrorBody),
        (status = 409, description = "It was not sent, and will not be; or it cannot be changed", body = ErrorBody),
    ),
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
    creating: Creating<OtherWords>,
) -> ApiResult<(StatusCode, Json<QueuedMessage>)> {
    let (caller, tenant) = caller.may(Scope::Send)?;
    let once = creating.key_of(&caller, tenant.as_str(), app.clock.now());
    let message = known(&app, &tenant, id.parse().map_err(|_| unknown(&id))?).await?;
    let words = arguments(&creating.body);
    let wish =
        Wish { operation: Operation::Update, ..Wish::post(Address::Message(message.id), words.clone()) };
    changeable(&message)?;
    check(&app, &wish)?;
    if message.state == MessageState::Queued {
        let rewritten = accept::bytes(&instead(&message, words));
        if app.store.message_rewrite(&tenant, message.id, rewritten).await? {
            return Ok((StatusCode::ACCEPTED, Json(QueuedMessage::new(message.id))));
        }
    }
    let (id, _) = accept(&app, &tenant, wish, once).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedMessage::new(id))))
}

/// A message's arguments with other words.
fn instead(message: &Message, words: Arguments) -> Arguments {
    let mut arguments: Arguments = serde_json::from_slice(&message.arguments).unwrap_or_default();
    for replaced in ["text", "markdown_text", "blocks", "attachments"] {
        arguments.remove(replaced);
    }
    arguments.extend(words);
    arguments
}

/// Only what everybody sees can be changed, and only if it is there or comes to be there.
pub(super) fn changeable(message: &Message) -> ApiResult<()> {
    let state = message.state.as_str();
    if message.operation != Operation::Post {
        let error = format!("a message that does {:?} cannot be changed", message.operation.as_str());
        let fixed = ApiError::new(StatusCode::CONFLICT, "not_changeable", error);
        return Err(fixed.fix("change the message that it is about"));
    }
    match message.state {
        MessageState::Queued | MessageState::Sending | MessageState::Sent | MessageState::Uncertain => Ok(()),
        _ => Err(ApiError::new(StatusCode::CONFLICT, "not_sent", format!("the message is {state}"))
            .fix("POST …/retry sends it after all; or send another")),
    }
}
