//! Into the outbox: a message that can be sent, made durable.

use bytes::Bytes;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::operation::{OnUncertain, Operation};
use tautline_core::outbox::{Message, MessageState, NewMessage, Queued};
use tautline_core::{InstallationId, MessageId, TenantId, Timestamp, limits};
use tautline_slack::outgoing::Arguments;

use super::check::check;
use super::people;
use super::routing::{Routed, routed};
use super::workspace::{granted, installation, through};
use crate::api::v1::creating::conflict;
use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// What somebody wants done at Slack.
#[derive(Clone)]
pub(crate) struct Wish {
    /// Where.
    pub(crate) to: Address,
    /// The workspace, when there are several.
    pub(crate) place: Option<String>,
    /// The route that led there.
    pub(crate) route: Option<String>,
    pub(crate) operation: Operation,
    /// Slack's arguments, without where.
    pub(crate) arguments: Arguments,
    /// It answers a person who waits.
    pub(crate) is_urgent: bool,
    pub(crate) starts_at: Option<Timestamp>,
    /// `None`: a day after it begins.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) on_uncertain: OnUncertain,
}

/// Where something goes.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// To a channel by id or name, or to a user by id.
    Channel(String),
    /// To a user.
    Email(String),
    /// To where a message of ours is: it is about that, or answers it.
    Message(MessageId),
    /// To where the tenant wants to have what happened.
    Route(String),
}

impl Wish {
    /// A post, with everything else as usual.
    pub(crate) fn post(to: Address, arguments: Arguments) -> Self {
        Self {
            to,
            place: None,
            route: None,
            operation: Operation::Post,
            arguments,
            is_urgent: false,
            starts_at: None,
            expires_at: None,
            on_uncertain: OnUncertain::Resend,
        }
    }
}

/// Accepts a message for a tenant's workspace. What goes by a route may be several: the first, and the others.
pub(crate) async fn accept(
    app: &App,
    tenant: &TenantId,
    wish: Wish,
    once: Option<IdempotencyKey>,
) -> ApiResult<(MessageId, Vec<MessageId>)> {
    if let Some(id) = before(app, once.as_ref()).await? {
        let mut also = Vec::new();
        while let Some(id) = before(app, nth_of(once.as_ref(), also.len() + 1).as_ref()).await? {
            also.push(id);
        }
        return Ok((id, also));
    }
    // Before the workspace: what is wrong with the message is wrong for each.
    check(app, &wish)?;
    let about = match wish.to {
        Address::Message(id) => Some(begun(app, known(app, tenant, id).await?)?),
        _ => None,
    };
    let installation = match &about {
        Some(about) => through(app, tenant, about.installation, wish.operation).await?,
        None => installation(app, tenant, wish.place.as_deref(), wish.operation).await?,
    };
    if matches!(wish.to, Address::Email(_)) {
        granted(&installation, "users:read.email")?;
    }
    let Address::Route(happened) = &wish.to else {
        let id = put(app, tenant, installation.id, wish, about.as_ref(), once).await?;
        return Ok((id, Vec::new()));
    };
    let Routed { route, channels } = routed(app, tenant, &installation, happened).await?;
    // The first comes last: once its key is on record, all of them are there.
    let mut ids = Vec::new();
    for (nth, channel) in channels.into_iter().enumerate().rev() {
        let wish = Wish { to: Address::Channel(channel), route: Some(route.clone()), ..wish.clone() };
        let once = if nth == 0 { once.clone() } else { nth_of(once.as_ref(), nth) };
        ids.push(put(app, tenant, installation.id, wish, None, once).await?);
    }
    ids.reverse();
    let also = ids.split_off(1);
    Ok((ids.remove(0), also))
}

/// The place of one of several messages under their key.
fn nth_of(once: Option<&IdempotencyKey>, nth: usize) -> Option<IdempotencyKey> {
    once.map(|key| IdempotencyKey { scope: format!("{}|{nth}", key.scope), ..key.clone() })
}

/// Asked again: the same answer, whatever was connected or came to be refused meanwhile.
pub(crate) async fn before(app: &App, once: Option<&IdempotencyKey>) -> ApiResult<Option<MessageId>> {
    let Some(key) = once else { return Ok(None) };
    let before = app.store.message_before(key).await?;
    before.map(|before| accepted(before, None)).transpose()
}

/// Accepts a message for one installation.
pub(crate) async fn queue(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    wish: Wish,
    once: Option<IdempotencyKey>,
) -> ApiResult<MessageId> {
    check(app, &wish)?;
    put(app, tenant, installation, wish, None, once).await
}

async fn put(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    wish: Wish,
    about: Option<&Message>,
    once: Option<IdempotencyKey>,
) -> ApiResult<MessageId> {
    let now = app.clock.now();
    let mut arguments = wish.arguments;
    let channel = match (&wish.to, about) {
        (_, Some(about)) => about.channel.clone(),
        (Address::Email(email), _) => {
            // The address itself stays sealed.
            arguments.insert("email".to_owned(), email.clone().into());
            let hash = people::hash(app, installation, email);
            format!("@{}", hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        (Address::Channel(channel), _) => {
            arguments.insert("channel".to_owned(), channel.clone().into());
            channel.clone()
        }
        (Address::Message(_) | Address::Route(_), None) => String::new(),
    };
    let begins = wish.starts_at.unwrap_or(now);
    let new = NewMessage {
        id: MessageId::generate(now, app.rng.as_ref()),
        tenant: tenant.clone(),
        installation,
        operation: wish.operation,
        about: about.map(|about| about.id),
        channel,
        arguments: bytes(&arguments),
        is_urgent: wish.is_urgent,
        starts_at: wish.starts_at,
        on_uncertain: wish.on_uncertain,
        route: wish.route,
        accepted_at: now,
        expires_at: wish.expires_at.unwrap_or(begins.after(limits::MESSAGE_LIFE)),
    };
    let id = new.id;
    let queued = app.store.message_accept(new, once).await?;
    app.sender.wake();
    accepted(queued, Some(id))
}

/// Arguments as they are kept.
pub(crate) fn bytes(arguments: &Arguments) -> Bytes {
    serde_json::to_vec(arguments).expect("a JSON object is one").into()
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
        (Queued::Unknown, _) => Err(unknown("the message that it is about")),
        (Queued::Conflict | Queued::Now, _) => Err(conflict()),
    }
}

/// What is scheduled is nothing yet that anything could be about.
fn begun(app: &App, message: Message) -> ApiResult<Message> {
    if message.operation != Operation::Post {
        let error = format!("nothing can be said to a message that does {:?}", message.operation.as_str());
        return Err(ApiError::new(http::StatusCode::CONFLICT, "not_answerable", error)
            .fix("name the channel, and thread_ts, instead"));
    }
    let is_scheduled = message.starts_at.is_some_and(|at| at > app.clock.now());
    if is_scheduled && message.state == MessageState::Queued {
        let error = "the message that it is about is still to be sent";
        return Err(ApiError::new(http::StatusCode::CONFLICT, "not_sent", error).fix("wait for its post_at"));
    }
    Ok(message)
}

/// A message that something is about.
pub(crate) async fn known(app: &App, tenant: &TenantId, id: MessageId) -> ApiResult<Message> {
    app.store.message(tenant, id).await?.ok_or_else(|| unknown(&id.to_string()))
}

/// There is no such message.
pub(crate) fn unknown(what: &str) -> ApiError {
    ApiError::not_found("message_unknown", format!("there is no message {what:?}"))
        .fix("GET /api/v1/integrations/slack/messages lists this tenant's messages")
}
