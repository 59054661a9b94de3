//! The cookie that ties a callback to the browser that started.

use http::{HeaderMap, HeaderValue, header};
use tautline_core::connect::ConnectState;

use crate::settings::Settings;

const NAME: &str = "tautline_connect";

/// Sets the nonce. `Lax`, because the callback comes from Slack's site by a top-level link.
pub(super) fn set(settings: &Settings, nonce: &str) -> HeaderValue {
    attributes(settings, nonce, ConnectState::COOKIE_LIFE.as_secs())
}

/// Takes it away.
pub(super) fn clear(settings: &Settings) -> HeaderValue {
    attributes(settings, "", 0)
}

fn attributes(settings: &Settings, value: &str, max_age_s: u64) -> HeaderValue {
    let secure = if settings.is_https() { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(text).expect("nonces are URL-safe")
}

/// The nonce that a browser shows.
pub(super) fn get(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == NAME && !value.is_empty()).map(|(_, value)| value)
}
