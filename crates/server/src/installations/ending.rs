//! How a connect can end, each with its own page and code.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tautline_core::StoreError;
use tautline_core::connect::StateError;
use tautline_core::installation::Unusable;
use tautline_slack::Refusal;

use crate::egress::CallError;
use crate::error::chain;
use crate::page::{Link, Notice, Tone};

/// An ending that is not a connected workspace.
#[derive(Debug)]
pub(crate) enum Ending {
    /// OAuth is off.
    Off {
        fix: String,
    },
    /// The person pressed Cancel.
    Denied {
        return_to: Option<String>,
    },
    /// Slack's consent page failed with this.
    SlackError(String),
    StateMissing,
    StateForged,
    StateExpired,
    StateReplayed {
        return_to: Option<String>,
    },
    CodeMissing,
    /// Too much is asked at once.
    Busy,
    LinkUnknown,
    /// The cookie is another's.
    WrongBrowser,
    /// The workspace is another tenant's.
    Taken,
    Call(CallError),
    Unusable(Unusable),
    /// Slack's two answers name two workspaces.
    Contradiction,
    Store(StoreError),
}

impl Ending {
    /// Slack's consent page ended with an error.
    pub(super) fn of_slacks_page(error: &str, return_to: Option<String>) -> Self {
        match error {
            "access_denied" => Self::Denied { return_to },
            error => Self::SlackError(error.chars().take(64).collect()),
        }
    }
}

impl From<StateError> for Ending {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Forged => Self::StateForged,
            StateError::Expired => Self::StateExpired,
        }
    }
}

impl From<CallError> for Ending {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Unusable> for Ending {
    fn from(error: Unusable) -> Self {
        Self::Unusable(error)
    }
}

impl From<StoreError> for Ending {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const AGAIN: &str = "Start again from the link or button that brought you here.";

impl Ending {
    fn notice(&self) -> Notice {
        let (status, code, title, lead, next) = match self {
            Self::Off { fix } => (
                503,
                "oauth_off",
                "Connecting is off",
                "This gateway is not set up to connect workspaces.",
                fix.as_str(),
            ),
            Self::Denied { .. } => (
                403,
                "access_denied",
                "Nothing was connected",
                "You chose not to let the app into your workspace.",
                AGAIN,
            ),
            Self::SlackError(error) => return refused(error),
            Self::StateMissing => (
                400,
                "state_missing",
                "This link is incomplete",
                "It does not say what it belongs to. Nothing was connected.",
                AGAIN,
            ),
            Self::StateForged => (
                400,
                "state_invalid",
                "This link was not made here",
                "It was changed, or made by somebody else. Nothing was connected.",
                AGAIN,
            ),
            Self::StateExpired => (
                400,
                "state_expired",
                "That took too long",
                "Connecting has to be finished within ten minutes. Nothing was connected.",
                AGAIN,
            ),
            Self::StateReplayed { .. } => (
                409,
                "state_used",
                "This link was used before",
                "Each try to connect counts once. If it worked, there is nothing left to do.",
                AGAIN,
            ),
            Self::CodeMissing => (400, "code_missing", "Slack sent no code", "Nothing was connected.", AGAIN),
            Self::Busy => (
                503,
                "busy",
                "Too many are connecting at once",
                "Nothing was connected.",
                "Open this page again in a minute.",
            ),
            Self::LinkUnknown => (
                410,
                "link_used",
                "This link has ended",
                "It was used, or is too old.",
                "Ask for a new link where you got this one.",
            ),
            Self::WrongBrowser => (
                403,
                "wrong_browser",
                "Another connect was begun in this browser",
                "So this one was not finished. Nothing was connected.",
                AGAIN,
            ),
            Self::Taken => (
                409,
                "workspace_taken",
                "This workspace is connected elsewhere",
                "It belongs to another customer account. Nothing was changed.",
                "If it should move, ask the support of the product you are connecting.",
            ),
            Self::Call(CallError::Unreachable(_)) => {
                (502, "slack_unreachable", "Slack cannot be reached", "Nothing was connected.", AGAIN)
            }
            Self::Call(CallError::NoAnswer(_)) => (
                504,
                "slack_timeout",
                "Slack did not answer in time",
                "Nothing was connected, as far as we know.",
                AGAIN,
            ),
            Self::Call(CallError::Refused(Refusal::RateLimited { .. })) => (
                503,
                "slack_busy",
                "Slack asks for patience",
                "Nothing was connected.",
                "Start again in a minute.",
            ),
            Self::Call(CallError::Refused(Refusal::Error(error))) => return refused(error),
            Self::Call(CallError::Refused(_)) => {
                (502, "slack_unreadable", "Slack's answer made no sense", "Nothing was connected.", AGAIN)
            }
            Self::Unusable(Unusable::NoBotToken) => (
                400,
                "no_bot_token",
                "Slack granted no bot",
                "The app got no bot token, so nothing was connected.",
                "The app's owner: ask for bot scopes (SLACK_BOT_SCOPES), and give the app a bot user.",
            ),
            Self::Unusable(_) | Self::Contradiction => (
                502,
                "slack_unreadable",
                "Slack's answer made no sense",
                "It does not say which workspace this is. Nothing was connected.",
                AGAIN,
            ),
            Self::Store(_) => (
                503,
                "store_unavailable",
                "The connection could not be kept",
                "Nothing was connected.",
                "Start again in a minute.",
            ),
        };
        Notice { link: self.way_back(), ..notice(status, code, title, lead, next) }
    }

    /// Back to where the start asked to return: there one can start again.
    fn way_back(&self) -> Option<Link> {
        match self {
            Self::Denied { return_to: Some(href) } | Self::StateReplayed { return_to: Some(href) } => {
                // The dashboard's own address says that it worked, which it did not.
                Some(Link { href: href.replace("?connected=yes", ""), text: "Go back".into() })
            }
            _ => None,
        }
    }

    fn log(&self) {
        match self {
            Self::Store(error) => {
                tracing::error!(error = %chain(error), "an installation could not be stored");
            }
            Self::Call(error) => tracing::warn!(%error, "Slack did not complete an install"),
            Self::SlackError(error) => tracing::warn!(error, "Slack's consent page ended with an error"),
            other => tracing::info!(ending = ?other, "a connect ended without a workspace"),
        }
    }
}

/// Slack's refusals of a code: the person's, or ours.
fn refused(error: &str) -> Notice {
    match error {
        "invalid_code" | "code_already_used" | "code_expired" => notice(
            400,
            "code_refused",
            "Slack no longer accepts this",
            "The code was used before, or is too old. Nothing was connected.",
            AGAIN,
        ),
        "bad_client_secret" | "invalid_client_id" => notice(
            502,
            "app_credentials_refused",
            "This gateway's app is misconfigured",
            "Slack does not accept the app's credentials. Nothing was connected.",
            "The gateway's operator: check SLACK_CLIENT_ID and SLACK_CLIENT_SECRET.",
        ),
        "bad_redirect_uri" | "oauth_authorization_url_mismatch" => notice(
            502,
            "redirect_uri_refused",
            "This gateway's app is misconfigured",
            "Slack does not know the address it should return to. Nothing was connected.",
            "The gateway's operator: add SLACK_REDIRECT_URI to the app's redirect URLs.",
        ),
        "cannot_install_an_org_installed_app" => notice(
            409,
            "org_installed",
            "Your org has the app already",
            "It is installed in the org as a whole, and cannot be installed in one workspace beside that. Nothing was connected.",
            "An admin of the org adds this workspace to the app, or connects the org.",
        ),
        "invalid_team_for_non_distributed_app" => notice(
            403,
            "app_not_distributed",
            "This app is for another workspace",
            "Slack lets only the workspace that made it install it. Nothing was connected.",
            "The app's owner: activate public distribution in the app's settings.",
        ),
        "scope_not_allowed_on_enterprise" | "unapproved_scope" => notice(
            403,
            "scope_not_allowed",
            "A permission is not allowed here",
            "The app asks for something that this workspace or org does not allow. Nothing was connected.",
            "Ask an admin of the workspace; the app's owner: see SLACK_BOT_SCOPES.",
        ),
        "invalid_scope" | "no_scopes" => notice(
            502,
            "scopes_refused",
            "This gateway's app is misconfigured",
            "Slack does not know the permissions that it asks for. Nothing was connected.",
            "The gateway's operator: compare SLACK_BOT_SCOPES with the app's OAuth scopes.",
        ),
        "user_email_unverified" => notice(
            403,
            "email_unverified",
            "Slack does not know your e-mail address yet",
            "It has to be verified before apps can be installed. Nothing was connected.",
            "Open the mail that Slack sent you, and start again.",
        ),
        "org_login_required" | "team_added_to_org" => notice(
            503,
            "workspace_migrating",
            "Your workspace is moving into an org",
            "Until that is done, Slack installs nothing. Nothing was connected.",
            "Start again in an hour.",
        ),
        "pkce_not_allowed" | "invalid_code_verifier" | "invalid_grant_type" => notice(
            502,
            "app_misconfigured",
            "This gateway's app is misconfigured",
            "Slack expects another way of installing. Nothing was connected.",
            "The gateway's operator: switch PKCE off for the app; a server needs none.",
        ),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => notice(
            502,
            "slack_failed",
            "Something failed at Slack",
            "Nothing was connected, as far as we know.",
            AGAIN,
        ),
        "temporarily_unavailable" | "server_error" | "ratelimited" | "rate_limited" => notice(
            503,
            "slack_busy",
            "Slack asks for patience",
            "Nothing was connected.",
            "Start again in a minute.",
        ),
        _ => {
            // Slack's word is shown: a person can search for it. It is not ours, so it is no more than a word.
            let word: String =
                error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
            let lead = format!("Slack says: {word}. Nothing was connected.");
            notice(502, "slack_refused", "Slack refused", &lead, AGAIN)
        }
    }
}

fn notice(status: u16, code: &'static str, title: &str, lead: &str, next: &str) -> Notice {
    let status = StatusCode::from_u16(status).expect("a status of the table");
    Notice {
        status,
        code,
        tone: Tone::Bad,
        title: title.into(),
        lead: lead.into(),
        next: next.into(),
        link: None,
    }
}

impl IntoResponse for Ending {
    fn into_response(self) -> Response {
        self.log();
        self.notice().into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_people_can_do_something_about_has_a_code_of_its_own() {
        let words = [
            "invalid_code",
            "bad_client_secret",
            "bad_redirect_uri",
            "cannot_install_an_org_installed_app",
            "invalid_team_for_non_distributed_app",
            "unapproved_scope",
            "invalid_scope",
            "user_email_unverified",
            "org_login_required",
            "pkce_not_allowed",
            "internal_error",
            "temporarily_unavailable",
            "something_new",
        ];
        let codes = words.iter().map(|word| refused(word).code).collect::<HashSet<_>>();
        assert_eq!(codes.len(), words.len());
        let lost = |error| Ending::Call(error).notice().code;
        assert_eq!(lost(CallError::Unreachable(String::new())), "slack_unreachable");
        assert_eq!(lost(CallError::NoAnswer(String::new())), "slack_timeout");
    }

    #[test]
    fn a_word_that_is_not_ours_is_no_more_than_a_word() {
        assert_eq!(refused("<b>odd</b> error_1").lead, "Slack says: boddberror_1. Nothing was connected.");
    }
}
