//! Refusals of ours, in Slack's own shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use tautline_core::StoreError;

use crate::error::chain;

/// A refusal of ours, in Slack's shape: SDKs look for nothing else.
pub(super) struct SlackShaped {
    status: StatusCode,
    error: &'static str,
    message: String,
}

/// Slack refuses with 200.
pub(super) fn refusal(error: &'static str, message: impl Into<String>) -> SlackShaped {
    SlackShaped { status: StatusCode::OK, error, message: message.into() }
}

/// No answer at all: SDKs look at the status.
pub(super) fn unavailable(status: StatusCode, message: &str) -> SlackShaped {
    SlackShaped { status, error: "service_unavailable", message: message.to_owned() }
}

impl IntoResponse for SlackShaped {
    fn into_response(self) -> Response {
        let messages = [format!("[ERROR] Tautline: {}", self.message)];
        let body = json!({ "ok": false, "error": self.error, "response_metadata": { "messages": messages } });
        (self.status, Json(body)).into_response()
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
