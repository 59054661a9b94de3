//! Our cookies: each of one name and one life, never readable by scripts.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tautline_core::limits;

use crate::settings::Settings;

/// A sort of cookie.
pub(crate) struct Cookie {
    name: &'static str,
    /// Over TLS, a name that no other site of the same domain can set.
    secure_name: &'static str,
    life: Duration,
}

/// Ties a callback to the browser that started the connect.
pub(crate) const CONNECT: Cookie =
    Cookie { name: "tautline_connect", secure_name: "__Host-tautline_connect", life: limits::OAUTH_STATE };

/// Says who is signed in at the dashboard.
pub(crate) const SESSION: Cookie =
    Cookie { name: "tautline_session", secure_name: "__Host-tautline_session", life: limits::SESSION };

impl Cookie {
    fn name(&self, settings: &Settings) -> &'static str {
        if settings.is_https() { self.secure_name } else { self.name }
    }

    /// Sets it. `Lax`, because people come here from other sites (Slack, the product) by top-level links.
    pub(crate) fn set(&self, settings: &Settings, value: &str) -> HeaderValue {
        self.line(settings, value, self.life.as_secs())
    }

    /// Takes it away.
    pub(crate) fn clear(&self, settings: &Settings) -> HeaderValue {
        self.line(settings, "", 0)
    }

    fn line(&self, settings: &Settings, value: &str, max_age_s: u64) -> HeaderValue {
        let secure = if settings.is_https() { "; Secure" } else { "" };
        let name = self.name(settings);
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
        let mut line = HeaderValue::try_from(text).expect("our values are URL-safe");
        line.set_sensitive(true);
        line
    }

    /// The value that a browser shows.
    pub(crate) fn get<'h>(&self, settings: &Settings, headers: &'h HeaderMap) -> Option<&'h str> {
        let wanted = self.name(settings);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
    }
}
