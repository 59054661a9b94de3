//! A gateway that may store nothing, for want of a key to seal with: it lives, and says what to set.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::health;
use crate::page::{PageError, wants_html};
use crate::serve::serve;

/// Serves until told to stop. Everything but `/healthz` is 503: Slack tries again, and people see the fix.
pub async fn serve_locked(listener: TcpListener, fix: String, stop: CancellationToken) {
    let refuse = move |headers: HeaderMap| async move {
        let error = "nothing can be stored: there is no encryption key";
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_encryption_key", error).fix(fix);
        if wants_html(&headers) { PageError::from(error).into_response() } else { error.into_response() }
    };
    serve(listener, Router::new().route("/healthz", get(health::healthz)).fallback(refuse), stop).await;
}
