//! The cookie that ties a callback to the browser that started.

use http::{HeaderMap, HeaderValue, header};
use tautline_core::connect::ConnectState;

use crate::settings::Settings;

const NAME: &str = "tautline_connect";
/// Over TLS, a name that no other site of the same domain can set.
const SECURE_NAME: &str = "__Host-tautline_connect";

fn name(settings: &Settings) -> &'static str {
    if settings.is_https() { SECURE_NAME } else { NAME }
}

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
    let name = name(settings);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(text).expect("nonces are URL-safe")
}

/// The nonce that a browser shows.
pub(super) fn get<'h>(settings: &Settings, headers: &'h HeaderMap) -> Option<&'h str> {
    let wanted = name(settings);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
}
