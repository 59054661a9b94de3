//! Web API calls as values: what to send, and how to read the answer.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Token;
use crate::errors::{self, Class};

/// One call of a Web API method. Somebody else sends it; this says what. `Debug` shows no values: codes and refresh tokens
/// are among them.
#[derive(Clone)]
pub struct WebApiCall {
    /// The method, such as `auth.test`.
    pub method: &'static str,
    /// What the call is allowed by.
    pub authorization: Authorization,
    /// The arguments, as form fields: the one encoding that every method takes.
    pub form: Vec<(&'static str, String)>,
}

/// How a call is authorized.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// `Authorization: Bearer …`.
    Bearer(Token),
    /// HTTP Basic with the app's client id and secret (`oauth.v2.access`).
    Basic {
        /// The client id.
        id: String,
        /// The client secret.
        secret: Token,
    },
}

impl fmt::Debug for WebApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.form.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        f.debug_struct("WebApiCall")
            .field("method", &self.method)
            .field("form", &fields)
            .finish_non_exhaustive()
    }
}

impl WebApiCall {
    /// Asks Slack whose token this is, and whether it lives.
    pub fn auth_test(token: Token) -> Self {
        Self { method: "auth.test", authorization: Authorization::Bearer(token), form: Vec::new() }
    }
}

/// Whether Slack's error says that the token will not work again. (`token_expired` does not: it is renewed.)
pub fn is_dead_token(error: &str) -> bool {
    errors::class(error) == Some(Class::DeadToken)
}

/// Whether Slack's answer to a refresh says that nothing will renew this token any more. What speaks of the app itself
/// (`bad_client_secret`, say) does not: it is our own configuration.
pub fn is_dead_refresh(error: &str) -> bool {
    is_dead_token(error) || ["invalid_refresh_token", "token_expired", "invalid_grant"].contains(&error)
}

/// Whether a refusal leaves open whether the call was carried out all the same. Slack says of its internal errors
/// that part of the operation may have succeeded.
pub fn may_have_been_done(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::RateLimited { .. } => false,
        Refusal::Unreadable { .. } => true,
        Refusal::Error(error) => errors::class(error) == Some(Class::Unsure),
    }
}

/// Slack's answer to a call that it understood.
pub type WebApiAnswer<T> = Result<T, Refusal>;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Slack answered `"ok": false`; the text is Slack's own error code.
    #[error("Slack answered {0:?}")]
    Error(String),
    /// Slack asks for patience (HTTP 429).
    #[error("Slack is limiting this app's rate")]
    RateLimited {
        /// Slack's `Retry-After`, when it gave one.
        retry_after_s: Option<u64>,
    },
    /// Not an answer of Slack's Web API. The body is not repeated here: it may hold a token.
    #[error("the answer (HTTP {status}) is not one of Slack's Web API")]
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
}

/// Reads an answer. The HTTP status carries no meaning except 429.
pub fn read<T: DeserializeOwned>(status: u16, retry_after: Option<&str>, body: &[u8]) -> WebApiAnswer<T> {
    #[derive(Deserialize)]
    struct Head {
        ok: bool,
        error: Option<String>,
    }
    if status == 429 {
        return Err(Refusal::RateLimited {
            retry_after_s: retry_after.and_then(|text| text.trim().parse().ok()),
        });
    }
    let unreadable = || Refusal::Unreadable { status };
    let head: Head = serde_json::from_slice(body).map_err(|_| unreadable())?;
    if !head.ok {
        return Err(Refusal::Error(head.error.unwrap_or_else(|| "unknown_error".to_owned())));
    }
    serde_json::from_slice(body).map_err(|_| unreadable())
}

/// The answer of `auth.test`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuthTest {
    /// The workspace's address.
    pub url: Option<String>,
    /// The workspace's name.
    pub team: Option<String>,
    /// The workspace.
    pub team_id: Option<String>,
    /// The user that acts with the token.
    pub user_id: Option<String>,
    /// The bot behind a bot token; `oauth.v2.access` does not tell it.
    pub bot_id: Option<String>,
    /// The app, which Slack names for some tokens only.
    pub app_id: Option<String>,
    /// The org.
    pub enterprise_id: Option<String>,
    /// Whether the token is org-wide.
    #[serde(default)]
    pub is_enterprise_install: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_ok() {
        let body = br#"{"ok":true,"team_id":"T1","user_id":"U1","new_field":{}}"#;
        let read = super::read::<AuthTest>(200, None, body).unwrap();
        assert_eq!((read.team_id.as_deref(), read.bot_id), (Some("T1"), None));
    }

    #[test]
    fn refusals_are_told_apart() {
        let read =
            |status, retry, body: &str| super::read::<AuthTest>(status, retry, body.as_bytes()).unwrap_err();
        assert_eq!(
            read(200, None, r#"{"ok":false,"error":"invalid_auth"}"#),
            Refusal::Error("invalid_auth".into())
        );
        assert_eq!(read(429, Some("30"), ""), Refusal::RateLimited { retry_after_s: Some(30) });
        assert_eq!(read(502, None, "<html>"), Refusal::Unreadable { status: 502 });
    }

    #[test]
    fn only_a_clear_no_means_that_it_was_not_done() {
        let error = |word: &str| may_have_been_done(&Refusal::Error(word.into()));
        assert!(!error("channel_not_found") && !error("is_archived"));
        assert!(error("internal_error") && error("fatal_error"));
        assert!(may_have_been_done(&Refusal::Unreadable { status: 502 }));
        assert!(!may_have_been_done(&Refusal::RateLimited { retry_after_s: None }));
    }

    #[test]
    fn debug_shows_which_fields_there_are_and_none_of_their_values() {
        let form = vec![("code", "1.2.secret".to_owned())];
        let call = WebApiCall { form, ..WebApiCall::auth_test(Token::new("xoxb-1")) };
        assert_eq!(format!("{call:?}"), r#"WebApiCall { method: "auth.test", form: ["code"], .. }"#);
    }

    #[test]
    fn an_unreadable_answer_is_not_repeated() {
        let refusal = super::read::<AuthTest>(200, None, br#"{"ok":true,"team_id":["xoxb-1"]}"#).unwrap_err();
        assert!(!refusal.to_string().contains("xoxb"));
    }
}
