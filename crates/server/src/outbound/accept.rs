//! Into the outbox: a message that can be sent, made durable.

use tautline_core::idempotency::IdempotencyKey;
use tautline_core::outbox::{self, NewMessage, Queued};
use tautline_core::{InstallationId, MessageId, TenantId, limits};
use tautline_slack::message::PostMessage;

use super::workspace::{Meant, meant};
use crate::api::v1::creating::conflict;
use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// Accepts a message for a tenant's workspace; `place` names it when there are several.
pub(crate) async fn accept(
    app: &App,
    tenant: &TenantId,
    place: Option<&str>,
    message: PostMessage,
    once: Option<IdempotencyKey>,
) -> ApiResult<MessageId> {
    // Asked again: the same answer, whatever was connected or came to be refused meanwhile.
    if let Some(key) = &once
        && let Some(before) = app.store.message_before(key).await?
    {
        return accepted(before, None);
    }
    // Before the workspace: what is wrong with the message is wrong for each.
    check(&message)?;
    match meant(app, tenant, place).await? {
        Meant::This(installation) => queue(app, tenant, installation.id, message, once).await,
        refused => Err(no_workspace(app, tenant, &refused)),
    }
}

/// Accepts a message for one installation.
pub(super) async fn queue(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    message: PostMessage,
    once: Option<IdempotencyKey>,
) -> ApiResult<MessageId> {
    check(&message)?;
    let now = app.clock.now();
    let new = NewMessage {
        id: MessageId::generate(now, app.rng.as_ref()),
        tenant: tenant.clone(),
        installation,
        channel: message.channel.clone(),
        arguments: serde_json::to_vec(&message).expect("messages are plain JSON").into(),
        accepted_at: now,
        expires_at: now.after(limits::MESSAGE_LIFE),
    };
    let id = new.id;
    let queued = app.store.message_accept(new, once).await?;
    app.sender.wake();
    accepted(queued, Some(id))
}

fn accepted(queued: Queued, new: Option<MessageId>) -> ApiResult<MessageId> {
    match (queued, new) {
        (Queued::Now, Some(id)) | (Queued::Before(id), _) => Ok(id),
        (Queued::Full, _) => {
            let limit = limits::WAITING_MESSAGES;
            let error = format!("{limit} messages of this tenant wait already");
            let full = ApiError::new(http::StatusCode::TOO_MANY_REQUESTS, "outbox_full", error);
            Err(full.fix(
                "send again when some have gone out; GET …/messages?state=queued shows what they wait for",
            ))
        }
        (Queued::Conflict | Queued::Now, _) => Err(conflict()),
    }
}

/// What Slack would refuse for certain is refused here, where the caller hears of it.
fn check(message: &PostMessage) -> ApiResult<()> {
    let channel = &message.channel;
    if channel.is_empty()
        || channel.chars().count() > limits::CHANNEL_CHARS
        || outbox::lane(channel).contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')
        || outbox::lane(channel).is_empty()
    {
        return Err(ApiError::bad_request("invalid_channel", "this is no channel")
            .fix("give a channel's id, such as C0123456789, or its name with #"));
    }
    if !message.has_content() {
        return Err(ApiError::bad_request("no_text", "there is nothing to say")
            .fix("give text, markdown_text, blocks or attachments"));
    }
    let long =
        |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.chars().count() > most);
    let over = |count: Option<usize>, most: usize| count.is_some_and(|count| count > most);
    if message.markdown_text.is_some() && (message.text.is_some() || message.blocks.is_some()) {
        return Err(ApiError::bad_request(
            "markdown_text_conflict",
            "markdown_text stands beside text or blocks",
        )
        .fix("give markdown_text alone, or text and blocks"));
    }
    let too = if long(&message.text, limits::MESSAGE_TEXT_CHARS) {
        ("msg_too_long", "text", limits::MESSAGE_TEXT_CHARS, "characters")
    } else if long(&message.markdown_text, limits::MARKDOWN_TEXT_CHARS) {
        ("msg_too_long", "markdown_text", limits::MARKDOWN_TEXT_CHARS, "characters")
    } else if over(message.blocks.as_ref().map(Vec::len), limits::MESSAGE_BLOCKS) {
        ("msg_blocks_too_many", "blocks", limits::MESSAGE_BLOCKS, "blocks")
    } else if over(message.attachments.as_ref().map(Vec::len), limits::MESSAGE_ATTACHMENTS) {
        ("too_many_attachments", "attachments", limits::MESSAGE_ATTACHMENTS, "attachments")
    } else {
        return Ok(());
    };
    let (code, field, most, unit) = too;
    let error = format!("{field} holds more than {most} {unit}, which is more than Slack takes");
    Err(ApiError::bad_request(code, error).fix("send less, or several messages"))
}

fn no_workspace(app: &App, tenant: &TenantId, meant: &Meant) -> ApiError {
    match meant {
        Meant::Several => ApiError::bad_request("team_required", "this tenant has several workspaces")
            .fix("name one as team_id; GET /api/v1/integrations/slack/installations lists them"),
        Meant::Unknown => ApiError::not_found("team_unknown", "this tenant has not connected that workspace")
            .fix("GET /api/v1/integrations/slack/installations lists those that are"),
        Meant::None if tenant.is_home() && app.settings.bot_token.is_some() => ApiError::new(
            http::StatusCode::SERVICE_UNAVAILABLE,
            "not_connected",
            "Slack has not told yet whose SLACK_BOT_TOKEN is",
        )
        .fix(
            "send it again in a moment; the gateway goes on asking, and its log says what stands in the way",
        ),
        _ => ApiError::new(
            http::StatusCode::CONFLICT,
            "not_connected",
            "this tenant has connected no workspace yet",
        )
        .fix("connect one: POST /api/v1/integrations/slack/connect-links makes a link"),
    }
}
