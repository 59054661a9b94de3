//! Slack's answer to a proxied call: streamed as it is, but for a glance at its beginning.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tautline_core::limits;
use tautline_slack::web_api::is_dead_token;

use super::headers::passed_back;

/// An answer, of which the beginning may have been read.
pub(super) struct Answer {
    beginning: Option<reqwest::Result<Bytes>>,
    rest: reqwest::Response,
}

impl Answer {
    pub(super) fn new(rest: reqwest::Response) -> Self {
        Self { beginning: None, rest }
    }

    /// Whether Slack asked for patience.
    pub(super) fn is_limited(&self) -> bool {
        self.rest.status() == StatusCode::TOO_MANY_REQUESTS
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.rest.headers()
    }

    /// Slack's word, if it says that the token was not taken. Slack is not asked to compress.
    pub(super) async fn word_about_the_token(mut self) -> (Self, Option<String>) {
        #[derive(Deserialize)]
        struct Refused {
            ok: bool,
            error: String,
        }
        if self.rest.status() != StatusCode::OK {
            return (self, None);
        }
        self.beginning = self.rest.chunk().await.transpose();
        let beginning = self.beginning.as_ref().and_then(|beginning| beginning.as_ref().ok());
        let beginning = beginning.filter(|beginning| beginning.len() <= limits::REFUSAL_BYTES);
        let refused = beginning.and_then(|bytes| serde_json::from_slice::<Refused>(bytes).ok());
        let word = refused.filter(|refused| !refused.ok).map(|refused| refused.error);
        (self, word.filter(|word| word == "token_expired" || is_dead_token(word)))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Self { beginning, rest } = self;
        let (status, headers) = (rest.status(), passed_back(rest.headers()));
        let beginning = stream::iter(beginning);
        let mut response = Response::new(Body::from_stream(beginning.chain(rest.bytes_stream())));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}
