//! A secret that Slack issued.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A token, refresh token or webhook URL: something that must never be printed.
///
/// `Debug` shows nothing of it, there is no `Display`, and the memory is wiped on drop. [`Token::expose`] is
/// the only way to the text, so that every use can be found by searching for it.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// Wraps the secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(SecretString::from(secret.into()))
    }

    /// The secret itself: to be put into a request to Slack, or sealed.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl<'de> serde::Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", Token::new("xoxb-1")), "Token(…)");
    }
}
