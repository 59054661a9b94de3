//! `POST …/messages`: say something in a tenant's Slack.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tautline_core::MessageId;
use tautline_core::access::Scope;
use tautline_core::outbox::MessageState;
use tautline_slack::message::PostMessage;
use utoipa::ToSchema;

use crate::api::v1::creating::Creating;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiResult, ErrorBody};
use crate::outbound::accept::accept;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    to: To,
    /// Which workspace, when the tenant has several: `T…`, or `E…` for an org.
    team_id: Option<String>,
    /// The words; with blocks, what notifications say. At most 40,000 characters.
    text: Option<String>,
    /// The words in Markdown, instead of text and blocks.
    markdown_text: Option<String>,
    /// At most 50 blocks.
    #[schema(value_type = Option<Vec<Object>>)]
    blocks: Option<Vec<Value>>,
    /// At most 100 legacy attachments.
    #[schema(value_type = Option<Vec<Object>>)]
    attachments: Option<Vec<Value>>,
    /// The message that this one answers.
    thread_ts: Option<String>,
    reply_broadcast: Option<bool>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    unfurl_links: Option<bool>,
    unfurl_media: Option<bool>,
    mrkdwn: Option<bool>,
    parse: Option<String>,
    link_names: Option<bool>,
}

/// Where to: one of these.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct To {
    /// A channel's id, or `#name`.
    #[schema(example = "#general")]
    channel: Option<String>,
    /// A user's id: a direct message.
    user: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct QueuedMessage {
    #[schema(value_type = String, example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: MessageId,
    /// `queued`: it is durable, and goes out in its turn.
    state: &'static str,
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
        (status = 404, description = "No such workspace of this tenant", body = ErrorBody),
        (status = 409, description = "No workspace is connected, or the Idempotency-Key was used for another message", body = ErrorBody),
        (status = 429, description = "Too many of this tenant's messages wait", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    creating: Creating<NewMessage>,
) -> ApiResult<(StatusCode, Json<QueuedMessage>)> {
    let (caller, tenant) = caller.may(Scope::Send)?;
    let (once, new) = (creating.key_of(&caller, tenant.as_str(), app.clock.now()), creating.body);
    let message = PostMessage {
        channel: channel(new.to)?,
        text: new.text,
        markdown_text: new.markdown_text,
        blocks: new.blocks,
        attachments: new.attachments,
        thread_ts: new.thread_ts,
        reply_broadcast: new.reply_broadcast,
        metadata: new.metadata,
        unfurl_links: new.unfurl_links,
        unfurl_media: new.unfurl_media,
        mrkdwn: new.mrkdwn,
        parse: new.parse,
        link_names: new.link_names,
    };
    let id = accept(&app, &tenant, new.team_id.as_deref(), message, once).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedMessage { id, state: MessageState::Queued.as_str() })))
}

fn channel(to: To) -> ApiResult<String> {
    match (to.channel, to.user) {
        (Some(channel), None) => Ok(channel),
        // Slack takes a user's id for a channel, and opens the direct message.
        (None, Some(user)) if user.starts_with(['U', 'W']) => Ok(user),
        (None, Some(_)) => Err(ApiError::bad_request("invalid_user", "to.user is not a user's id")
            .fix("give the id that Slack gives the user, such as U0123456789")),
        _ => Err(ApiError::bad_request("invalid_destination", "to does not name one destination")
            .fix("name one: {\"channel\": \"#general\"}, a channel's id, or {\"user\": \"U…\"}")),
    }
}
