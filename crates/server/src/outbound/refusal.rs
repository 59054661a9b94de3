//! Refusals of ours, in Slack's own shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tautline_core::StoreError;

use crate::auth::Refused;
use crate::error::chain;

/// A refusal of ours, in Slack's shape: SDKs look for nothing else.
pub(super) struct SlackShaped {
    status: StatusCode,
    error: &'static str,
    message: String,
    retry_after_s: Option<u64>,
}

/// Slack refuses with 200.
pub(super) fn refusal(error: &'static str, message: impl Into<String>) -> SlackShaped {
    SlackShaped { status: StatusCode::OK, error, message: message.into(), retry_after_s: None }
}

/// No answer at all: SDKs look at the status.
pub(super) fn unavailable(status: StatusCode, message: &str) -> SlackShaped {
    SlackShaped { status, error: "service_unavailable", message: message.to_owned(), retry_after_s: None }
}

/// The caller came too fast; Slack would say the same.
pub(super) fn limited(wait: std::time::Duration, message: &str) -> SlackShaped {
    SlackShaped {
        status: StatusCode::TOO_MANY_REQUESTS,
        error: "ratelimited",
        message: message.to_owned(),
        retry_after_s: Some(wait.as_secs() + 1),
    }
}

impl SlackShaped {
    /// The word.
    pub(super) fn error(&self) -> &'static str {
        self.error
    }

    /// What people read.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for SlackShaped {
    fn into_response(self) -> Response {
        let messages = [format!("[ERROR] Tautline: {}", self.message)];
        let body = json!({ "ok": false, "error": self.error, "response_metadata": { "messages": messages } });
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refused> for SlackShaped {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            // SDKs wait for as long as the header says.
            Refused::TooMany { wait } => Self {
                retry_after_s: Some(wait.as_secs() + 1),
                ..unavailable(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many wrong keys from here; a right one passes",
                )
            },
            _ => refusal("invalid_auth", "this gateway key is unknown"),
        }
    }
}

impl From<StoreError> for SlackShaped {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %chain(&error), "a proxied call could not have its token");
        let why = match error {
            StoreError::Sealed { .. } => {
                "the stored token does not open with the gateway's keys; its log names the fix"
            }
            _ => "the store is unavailable; the call was not made",
        };
        unavailable(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}
