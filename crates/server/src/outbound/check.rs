//! What Slack would refuse for certain is refused here, where the caller hears of it.

use serde_json::Value;
use tautline_core::operation::Operation;
use tautline_core::{limits, outbox};
use tautline_slack::outgoing::Arguments;

use super::accept::{Address, Wish};
use crate::app::App;
use crate::error::{ApiError, ApiResult};

pub(crate) fn check(app: &App, wish: &Wish) -> ApiResult<()> {
    address(&wish.to)?;
    times(app, wish)?;
    match wish.operation {
        Operation::Post | Operation::Ephemeral => words(&wish.arguments, limits::MESSAGE_TEXT_CHARS),
        Operation::Update => words(&wish.arguments, limits::UPDATE_TEXT_CHARS),
        Operation::React | Operation::Unreact => reaction(&wish.arguments),
        Operation::Delete | Operation::Share => Ok(()),
    }
}

fn address(to: &Address) -> ApiResult<()> {
    match to {
        Address::Channel(channel)
            if channel.is_empty()
                || channel.chars().count() > limits::CHANNEL_CHARS
                || outbox::lane(channel)
                    .contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '#' | '@'))
                || outbox::lane(channel).is_empty() =>
        {
            let shown = channel.chars().take(limits::CHANNEL_CHARS).collect::<String>();
            Err(ApiError::bad_request("invalid_channel", format!("{shown:?} is no channel"))
                .fix("give a channel's id, such as C0123456789, or its name with #"))
        }
        Address::Email(email)
            if email.len() > limits::EMAIL_BYTES
                || email.contains(char::is_whitespace)
                || email.split_once('@').is_none_or(|(name, host)| name.is_empty() || host.is_empty()) =>
        {
            Err(ApiError::bad_request("invalid_email", "to.email is no e-mail address")
                .fix("give the address with which the person is known in Slack"))
        }
        _ => Ok(()),
    }
}

fn times(app: &App, wish: &Wish) -> ApiResult<()> {
    let now = app.clock.now();
    if wish.starts_at.is_some() && matches!(wish.to, Address::Message(_)) {
        return Err(ApiError::bad_request("invalid_post_at", "post_at stands beside reply_to")
            .fix("answer when its time has come; or name channel and thread_ts"));
    }
    if let Some(at) = wish.starts_at {
        if at <= now {
            return Err(ApiError::bad_request("time_in_past", "post_at has passed")
                .fix("give a time to come, in seconds since 1970, or leave it out"));
        }
        if at > now.after(limits::SCHEDULE_AHEAD) {
            return Err(ApiError::bad_request("time_too_far", "post_at is more than 120 days ahead")
                .fix("schedule it nearer to its time"));
        }
    }
    let begins = wish.starts_at.unwrap_or(now);
    match wish.expires_at {
        Some(at) if at <= begins => {
            Err(ApiError::bad_request("time_in_past", "expires_at is before the message could go out")
                .fix("give a later time, or leave it out: a message lives for a day"))
        }
        Some(at) if at > begins.after(limits::MESSAGE_LIFE_MAX) => {
            Err(ApiError::bad_request("time_too_far", "expires_at is more than 7 days ahead")
                .fix("a message that could not be sent for a week is hardly of use"))
        }
        _ => Ok(()),
    }
}

fn reaction(arguments: &Arguments) -> ApiResult<()> {
    let name = arguments.get("name").and_then(Value::as_str).unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'' | ':');
    if name.is_empty() || name.len() > limits::CHANNEL_CHARS || !name.chars().all(is_name) {
        return Err(ApiError::bad_request("invalid_name", "this is no emoji's name")
            .fix("give its name without colons, such as white_check_mark"));
    }
    Ok(())
}

fn words(arguments: &Arguments, most: usize) -> ApiResult<()> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let list = |name: &str| arguments.get(name).and_then(Value::as_array).filter(|list| !list.is_empty());
    if text("text").is_none()
        && text("markdown_text").is_none()
        && list("blocks").is_none()
        && list("attachments").is_none()
    {
        return Err(ApiError::bad_request("no_text", "there is nothing to say")
            .fix("give text, markdown_text, blocks or attachments"));
    }
    if arguments.contains_key("markdown_text")
        && (arguments.contains_key("text") || arguments.contains_key("blocks"))
    {
        return Err(ApiError::bad_request(
            "markdown_text_conflict",
            "markdown_text stands beside text or blocks",
        )
        .fix("give markdown_text alone, or text and blocks"));
    }
    let long = |name: &str, most: usize| text(name).is_some_and(|text| text.chars().count() > most);
    let over = |name: &str, most: usize| list(name).is_some_and(|list| list.len() > most);
    let too = if long("text", most) {
        ("msg_too_long", "text", most, "characters")
    } else if long("markdown_text", limits::MARKDOWN_TEXT_CHARS) {
        ("msg_too_long", "markdown_text", limits::MARKDOWN_TEXT_CHARS, "characters")
    } else if over("blocks", limits::MESSAGE_BLOCKS) {
        ("msg_blocks_too_many", "blocks", limits::MESSAGE_BLOCKS, "blocks")
    } else if over("attachments", limits::MESSAGE_ATTACHMENTS) {
        ("too_many_attachments", "attachments", limits::MESSAGE_ATTACHMENTS, "attachments")
    } else {
        return Ok(());
    };
    let (code, field, most, unit) = too;
    let error = format!("{field} holds more than {most} {unit}, which is more than Slack takes");
    Err(ApiError::bad_request(code, error).fix("send less, or several messages"))
}
