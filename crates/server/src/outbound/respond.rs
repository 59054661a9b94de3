//! Words to the `response_url` of a command or an interaction: for 30 minutes, five times at most by Slack's count.

use http::HeaderValue;
use serde_json::Value;
use tautline_core::inbox::Request;
use tautline_core::{StoreError, limits};
use tautline_slack::request::response_url;
use url::Url;

use crate::app::App;
use crate::egress::{CallError, is_slacks};

/// Why the words were not said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RespondError {
    #[error("a request of this kind has no response_url")]
    None,
    /// A signed request can still hold what a person typed: words go to Slack's hosts alone.
    #[error("the response_url does not lead to Slack")]
    NotSlacks,
    #[error("the response_url has ended: it lives for 30 minutes")]
    Ended,
    #[error("the response_url has had its five answers: say more with a message")]
    UsedUp,
    #[error("the store is unavailable")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Says something where Slack asked for it.
pub(crate) async fn respond(app: &App, request: &Request, words: &Value) -> Result<(), RespondError> {
    let content_type = request.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    let url = response_url(content_type.as_ref(), &request.body).and_then(|url| Url::parse(&url).ok());
    let url = url.ok_or(RespondError::None)?;
    if !is_slacks(&url, &app.settings.slack_url) {
        return Err(RespondError::NotSlacks);
    }
    if app.clock.now().since(request.received_at) > limits::INTERACTION_LIFE {
        return Err(RespondError::Ended);
    }
    let Some(tenant) = &request.tenant else { return Err(RespondError::None) };
    // Counted before it is said: after a crash one is lost rather than Slack asked once too often.
    if !app.store.request_respond(tenant, request.id).await? {
        return Err(RespondError::UsedUp);
    }
    Ok(app.slack.respond(url, words).await?)
}
