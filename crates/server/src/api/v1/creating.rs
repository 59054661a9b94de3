//! The body of a POST that creates, with its `Idempotency-Key`.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tautline_core::access::Caller;
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{Timestamp, limits};

use crate::error::{ApiError, ApiResult};

/// A body that asks for something to be made.
pub(crate) struct Creating<T> {
    pub(crate) body: T,
    key: Option<String>,
    route: String,
    request: [u8; 32],
}

impl<T> Creating<T> {
    /// The key under which a caller asks, if it gave one. `on_behalf` is the tenant a platform key acts for.
    pub(crate) fn key_of(&self, caller: &Caller, on_behalf: &str, now: Timestamp) -> Option<IdempotencyKey> {
        let scope = format!("{}|{on_behalf}|{}", caller.name, self.route);
        let key = self.key.clone()?;
        Some(IdempotencyKey { scope, key, request: self.request, at: now })
    }
}

/// What was made, or why it was not: for things whose answer shows a secret, and is not repeated.
pub(crate) fn made_once<T>(once: Once<T>) -> ApiResult<T> {
    match once {
        Once::Done(made) => Ok(made),
        Once::Before => {
            let error =
                "this was created before under the same Idempotency-Key, and its secret is shown once";
            Err(ApiError::new(StatusCode::CONFLICT, "already_created", error)
                .fix("use what was answered then; if that is lost, create another with another key"))
        }
        Once::Conflict => Err(conflict()),
    }
}

/// The key was used for something else.
pub(crate) fn conflict() -> ApiError {
    let error = "this Idempotency-Key was used for another request";
    ApiError::new(StatusCode::CONFLICT, "idempotency_conflict", error)
        .fix("use a new key for each thing you create")
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Creating<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // The path, and not its pattern: what is asked of one thing is not asked of another.
        let route = parts.uri.path().to_owned();
        let key = key_in(&parts.headers)?;
        let headers = parts.headers.clone();
        let bytes =
            Bytes::from_request(Request::from_parts(parts, body), state).await.map_err(|rejection| {
                ApiError::new(rejection.status(), "invalid_body", rejection.body_text())
                    .fix("send a smaller body")
            })?;
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let error = ApiError::bad_request("invalid_body", "the body is not a JSON object");
            return Err(error.fix(
                "send one JSON object with Content-Type: application/json, as /openapi.json describes it",
            ));
        }
        let digest = Sha256::digest(&bytes).into();
        let mut again = Request::new(bytes.into());
        *again.headers_mut() = headers;
        let axum::Json(body) = axum::Json::from_request(again, state).await?;
        Ok(Self { body, key, route, request: digest })
    }
}

/// The key under which something is asked, if there is one.
pub(crate) fn key_in(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let mut keys = headers.get_all("idempotency-key").iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => read_key(key.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(invalid_key()),
    }
}

fn read_key(key: &[u8]) -> ApiResult<String> {
    let printable =
        !key.is_empty() && key.len() <= limits::IDEMPOTENCY_KEY_BYTES && key.iter().all(u8::is_ascii_graphic);
    if printable { Ok(String::from_utf8_lossy(key).into_owned()) } else { Err(invalid_key()) }
}

fn invalid_key() -> ApiError {
    let limit = limits::IDEMPOTENCY_KEY_BYTES;
    ApiError::bad_request(
        "invalid_idempotency_key",
        "the Idempotency-Key is repeated, too long, or not plain text",
    )
    .fix(format!("send one, of 1 to {limit} printable ASCII characters, such as a UUID"))
}
