//! Proxied calls that say something keep Slack's pace: they take a turn in their channel's lane and their method's window, wait
//! for it a little, and are else told when to come again.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::Deserialize;
use tautline_core::outbox::{Passing, Turn};
use tautline_core::{limits, pace};

use super::refusal::{SlackShaped, limited};
use crate::app::App;
use crate::installations::acting::Acting;
use crate::installations::paced;

/// Methods of which Slack counts what they show for the channel.
const SHOWS: [&str; 3] = ["chat.postMessage", "chat.postEphemeral", "chat.meMessage"];

/// Waits for the turn of a call that says something. What came of it, to tell of a refusal by [`refused`]; `None`: it is none
/// that is counted.
pub(super) async fn turn(
    app: &App,
    acting: &Acting,
    method: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Option<Passing>, SlackShaped> {
    let Some(method) = pace::written(method) else { return Ok(None) };
    let channel = if SHOWS.contains(&method) { channel(headers, body) } else { None };
    let call = Passing { installation: acting.installation, method, channel, paces: app.settings.paces };
    // Each that waits holds its body.
    let Ok(_place) = app.waiting.try_acquire() else {
        return Err(limited(limits::PROXY_WAIT, "too many calls wait for their turn"));
    };
    let now = app.clock.now();
    match app.store.turn_take(&call, now, now.after(limits::PROXY_WAIT)).await? {
        Turn::At(at) => tokio::time::sleep(at.since(now)).await,
        Turn::Later(at) => {
            return Err(limited(at.since(now), "Slack's pace for this channel or method is used up"));
        }
    }
    Ok(Some(call))
}

/// Takes to heart that Slack asked for patience all the same.
pub(super) async fn refused(app: &App, call: &Passing, headers: &HeaderMap) {
    let wait_s = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    paced::limited(app, call, wait_s.map(Duration::from_secs)).await;
}

/// The channel that a call names, wherever its content type has it.
fn channel(headers: &HeaderMap, body: &Bytes) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        channel: Option<String>,
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => serde_json::from_slice::<Named>(body).ok()?.channel,
        "multipart/form-data" => part(body, "channel"),
        _ => form_urlencoded::parse(body)
            .find(|(name, _)| name == "channel")
            .map(|(_, value)| value.into_owned()),
    };
    named.filter(|channel| !channel.is_empty() && channel.chars().count() <= limits::CHANNEL_CHARS)
}

/// A short field of a multipart body.
fn part(body: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let at = text.find(&format!("name=\"{name}\""))?;
    let (_, value) = text[at..].split_once("\r\n\r\n")?;
    Some(value.split("\r\n").next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_channel_is_found_in_every_shape() {
        let found = |content_type: &'static str, body: &'static str| {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            channel(&headers, &Bytes::from_static(body.as_bytes()))
        };
        let one = Some("C1".to_owned());
        assert_eq!(found("application/json; charset=utf-8", r#"{"text":"x","channel":"C1"}"#), one);
        assert_eq!(found("application/x-www-form-urlencoded", "text=x&channel=C1"), one);
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"channel\"\r\n\r\nC1\r\n--b--\r\n";
        assert_eq!(found("multipart/form-data; boundary=b", multipart), one);
        assert_eq!(found("application/json", "[]"), None);
    }
}
