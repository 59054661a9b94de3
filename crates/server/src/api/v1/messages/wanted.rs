//! What can be asked to be said.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tautline_core::Timestamp;
use tautline_core::operation::{OnUncertain, Operation};
use tautline_core::route::is_name;
use tautline_slack::outgoing::Arguments;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult};
use crate::outbound::accept::{Address, Wish, unknown};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// Where to; left out with `reply_to`.
    #[serde(default)]
    to: To,
    /// The message of ours that this one answers in its thread, even if that is still on its way.
    #[schema(example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    reply_to: Option<String>,
    /// Which workspace, when the tenant has several: `T…`, or `E…` for an org.
    team_id: Option<String>,
    /// Only this user sees it, in the channel (`chat.postEphemeral`): `U…`.
    visible_to: Option<String>,
    /// Not before then: seconds since 1970, at most 120 days ahead.
    post_at: Option<i64>,
    /// RFC 3339, at most 7 days ahead: what still waits then is not sent. A day, unless asked for.
    expires_at: Option<String>,
    /// It answers a person who waits: it goes before other messages of its channel.
    #[serde(default)]
    urgent: bool,
    /// What is done when nobody can find out whether Slack has it: `resend` (marked as a possible duplicate; so unless asked
    /// for) or `hold`.
    on_uncertain: Option<String>,
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
    /// The message in Slack that this one answers.
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
    /// A user's e-mail address: a direct message.
    email: Option<String>,
    /// What happened, such as `billing.invoice_paid`: it goes where the tenant's routes lead.
    route: Option<String>,
}

/// What Slack gets of it.
#[derive(Serialize)]
struct Passed {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_broadcast: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_links: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_media: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mrkdwn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_names: Option<bool>,
}

impl NewMessage {
    /// As it goes into the outbox.
    pub(super) fn wish(self) -> ApiResult<Wish> {
        if self.reply_to.is_some() && self.thread_ts.is_some() {
            return Err(ApiError::bad_request("invalid_destination", "thread_ts stands beside reply_to")
                .fix("give one of them: an answer goes into the thread of its message"));
        }
        let to = address(self.to, self.reply_to)?;
        let operation = match &self.visible_to {
            Some(user) if !is_user(user) => return Err(no_user("visible_to")),
            Some(_) => Operation::Ephemeral,
            None => Operation::Post,
        };
        Ok(Wish {
            to,
            place: self.team_id,
            route: None,
            operation,
            is_urgent: self.urgent,
            starts_at: self.post_at.map(seconds),
            expires_at: self.expires_at.as_deref().map(time).transpose()?,
            on_uncertain: self.on_uncertain.as_deref().map_or(Ok(OnUncertain::default()), on_uncertain)?,
            arguments: arguments(&Passed {
                user: self.visible_to,
                text: self.text,
                markdown_text: self.markdown_text,
                blocks: self.blocks,
                attachments: self.attachments,
                thread_ts: self.thread_ts,
                reply_broadcast: self.reply_broadcast,
                metadata: self.metadata,
                unfurl_links: self.unfurl_links,
                unfurl_media: self.unfurl_media,
                mrkdwn: self.mrkdwn,
                parse: self.parse,
                link_names: self.link_names,
            }),
        })
    }
}

/// What is asked for, by Slack's names.
pub(super) fn arguments(passed: &impl Serialize) -> Arguments {
    match serde_json::to_value(passed) {
        Ok(Value::Object(arguments)) => arguments,
        _ => Arguments::new(),
    }
}

fn address(to: To, reply_to: Option<String>) -> ApiResult<Address> {
    let To { channel, user, email, route } = to;
    let named = [channel.is_some(), user.is_some(), email.is_some(), route.is_some(), reply_to.is_some()];
    if named.into_iter().filter(|is_named| *is_named).count() != 1 {
        return Err(ApiError::bad_request("invalid_destination", "to and reply_to do not name one destination").fix(
            "name one: {\"channel\": \"#general\"}, a channel's id, {\"user\": \"U…\"}, {\"email\": \"…\"} or {\"route\": \"…\"}; or reply_to alone",
        ));
    }
    if let Some(id) = reply_to {
        return Ok(Address::Message(id.parse().map_err(|_| unknown(&id))?));
    }
    if let Some(happened) = route {
        let is_one = is_name(&happened) && !happened.ends_with('*');
        return if is_one { Ok(Address::Route(happened)) } else { Err(no_route(&happened)) };
    }
    match (channel, user, email) {
        (Some(channel), ..) => Ok(Address::Channel(channel)),
        // Slack takes a user's id for a channel, and opens the direct message.
        (_, Some(user), _) if is_user(&user) => Ok(Address::Channel(user)),
        (_, Some(_), _) => Err(no_user("to.user")),
        (.., email) => Ok(Address::Email(email.unwrap_or_default())),
    }
}

fn no_route(happened: &str) -> ApiError {
    ApiError::bad_request("invalid_route", format!("to.route is not {happened:?}")).fix(
        "name what happened in words of a-z 0-9 _ - with dots between them, such as billing.invoice_paid",
    )
}

fn is_user(id: &str) -> bool {
    id.starts_with(['U', 'W'])
}

fn no_user(field: &str) -> ApiError {
    ApiError::bad_request("invalid_user", format!("{field} is not a user's id"))
        .fix("give the id that Slack gives the user, such as U0123456789")
}

fn seconds(s: i64) -> Timestamp {
    Timestamp::from_micros(s.saturating_mul(1_000_000))
}

fn time(text: &str) -> ApiResult<Timestamp> {
    let parsed = text.parse::<jiff::Timestamp>().ok();
    parsed.map(|at| Timestamp::from_micros(at.as_microsecond())).ok_or_else(|| {
        ApiError::bad_request("invalid_time", "expires_at is no RFC 3339 time")
            .fix("write it as in 2027-01-31T12:00:00Z")
    })
}

fn on_uncertain(name: &str) -> ApiResult<OnUncertain> {
    OnUncertain::from_name(name).ok_or_else(|| {
        ApiError::bad_request("invalid_on_uncertain", format!("on_uncertain is not {name:?}"))
            .fix("give resend or hold")
    })
}
