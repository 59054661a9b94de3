//! One shape for every error of the API: `{"error": …, "code": …, "fix": …}`.
//!
//! The caller learns what went wrong, under a name that programs can rely on, and what to do. What only we may
//! know (`source`) goes to the log, once, here.

use std::error::Error;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tautline_core::StoreError;
use utoipa::ToSchema;

/// An error of the API.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after_s: Option<u64>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a caller reads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong, for people.
    error: String,
    /// The same for programs; these names do not change.
    #[schema(example = "tenant_unknown")]
    code: &'static str,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody { error: error.into(), code, fix: None },
            retry_after_s: None,
            source: None,
        }
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.body.fix = Some(fix.into());
        self
    }

    /// When it is worth trying again.
    pub(crate) fn retry_after(mut self, wait: std::time::Duration) -> Self {
        self.retry_after_s = Some(wait.as_secs() + 1);
        self
    }

    /// Slack would refuse what is asked for so soon.
    pub(crate) fn too_soon(why: String, wait: std::time::Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_soon", why)
            .retry_after(wait)
            .fix("ask again after Retry-After")
    }

    fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn bad_request(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }

    pub(crate) fn not_found(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, error)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.body.code
    }

    pub(crate) fn text(&self) -> &str {
        &self.body.error
    }

    pub(crate) fn fix_text(&self) -> Option<&str> {
        self.body.fix.as_deref()
    }

    /// What a caller reads who asked for several things at once.
    pub(crate) fn into_body(self) -> ErrorBody {
        self.log();
        self.body
    }

    /// Tells the log what the caller is not told.
    pub(crate) fn log(&self) {
        if let Some(source) = &self.source {
            tracing::error!(code = self.body.code, error = %chain(source.as_ref()), "{}", self.body.error);
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let api = match &error {
            StoreError::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "the store is unavailable; nothing was stored",
            )
            .fix("try again; if it lasts, see the log and /readyz"),
            _ => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_broken", "a stored value cannot be read")
                    .fix("see the log: it names the row")
            }
        };
        api.source(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A query whose faults are told in our shape.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let error = Self::new(rejection.status(), "invalid_body", rejection.body_text());
        error.fix("send one JSON object with Content-Type: application/json, as /openapi.json describes it")
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request("invalid_query", rejection.body_text()).fix("see /openapi.json for the parameters")
    }
}

/// A path whose faults are told in our shape.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct ApiPath<T>(pub(crate) T);

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        Self::not_found("no_such_route", "there is nothing here").fix("see /openapi.json")
    }
}
