//! The front door: what Slack sends.
//!
//! `POST` → size → signature → routing facts → tenant → **one commit** → answer. Nothing is answered 200 that
//! is not durable, and nothing is looked at that is not signed.

mod accept;
pub(crate) mod claim;
mod held;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;
use tautline_core::event_share::Share;
use tautline_core::limits;
use tautline_slack::request::{Inbound, Kind, Routing, is_ssl_check, read};
use tautline_slack::signing;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::metrics;

/// Where Slack sends everything; the others are aliases.
pub const CANONICAL_PATH: &str = "/api/v1/integrations/webhooks/slack";

macro_rules! mounts {
    ($($name:ident at $path:literal: $summary:literal),* $(,)?) => {
        $(
            #[utoipa::path(
                post,
                path = $path,
                tag = "inbound",
                summary = $summary,
                description = "Events, commands, interactions and options queries, signed by Slack. \
                    Answered 200 once durable; for kinds that Slack waits for, with the handler's words.",
                request_body(content((String = "application/json"), (String = "application/x-www-form-urlencoded"))),
                responses(
                    (status = 200, description = "Durable"),
                    (status = 400, description = "Signed, but unreadable", body = crate::error::ErrorBody),
                    (status = 401, description = "Not signed by Slack", body = crate::error::ErrorBody),
                    (status = 413, description = "Too large", body = crate::error::ErrorBody),
                    (status = 503, description = "Not durable, or no signing secret", body = crate::error::ErrorBody),
                ),
                security(()),
            )]
            pub(crate) async fn $name(state: State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
                receive(state, headers, body).instrument(debug_span!("inbound", kind = Empty)).await
            }
        )*
    };
}

mounts! {
    webhooks_slack at "/api/v1/integrations/webhooks/slack": "What Slack sends",
    webhooks_slack_events at "/api/v1/webhooks/slack/events": "What Slack sends (alias)",
    slack_commands at "/slack/commands": "What Slack sends (alias)",
}

async fn receive(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let begun = Instant::now();
    let deadline = begun + app.settings.tuning.hold;
    let (kind, response) = match door(&app, &headers, body).await {
        Ok(Passed::Answered(response)) => return response,
        Ok(Passed::Request(verified, routing)) => {
            let kind = routing.kind;
            Span::current().record("kind", kind.as_str());
            let arrived = Arrived { verified, routing, retry_reason: retry_reason(&headers) };
            let response = accept::accept(app.clone(), arrived, deadline).await;
            app.metrics.answered(kind, begun.elapsed());
            (kind, response)
        }
        Err(refusal) => {
            metrics::rejected(refusal.reason());
            // 5xx are ours. Of the rest, most are no words of Slack's: strangers knock while Slack's own requests pass.
            let response = refusal.into_response();
            if response.status().is_client_error() && app.event_share().has_answered(app.clock.now()) {
                return response;
            }
            // Perhaps Slack's, and perhaps an event: a wrong secret shows in nothing else.
            (Kind::Event, response)
        }
    };
    if kind == Kind::Event {
        watch(&app, &response);
    }
    response
}

/// Warns before Slack switches the events off.
fn watch(app: &App, response: &Response) {
    let near = app.event_share().count(app.clock.now(), !response.status().is_success());
    if let Some(Share { failed, all }) = near {
        tracing::error!(
            failed,
            all,
            "of the last hour's answers to Slack this many were no 2xx; at 95 % Slack switches the events \
             off: see the errors before this one for the cause (a full disk, an unreachable database, or a \
             SLACK_SIGNING_SECRET that is not this app's)"
        );
    }
}

/// A request that passed the door.
struct Arrived {
    verified: signing::VerifiedRequest,
    routing: Routing,
    /// Slack sends it again, and this is why. It is for the record alone: the first try may never have come.
    retry_reason: Option<String>,
}

/// Slack's own reasons are single words of this alphabet; anything else is nobody's.
fn retry_reason(headers: &HeaderMap) -> Option<String> {
    let reason = headers.get("x-slack-retry-reason")?.to_str().ok()?;
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (reason.len() <= 40 && reason.bytes().all(is_word)).then(|| reason.to_owned())
}

/// Why somebody is turned away.
enum TurnedAway {
    /// Not signed by Slack. Told in these very words and no others: whoever it is learns nothing.
    NotSlack,
    /// Anything else.
    For(ApiError),
}

impl TurnedAway {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotSlack => "invalid_signature",
            Self::For(error) => error.code(),
        }
    }
}

impl From<ApiError> for TurnedAway {
    fn from(error: ApiError) -> Self {
        Self::For(error)
    }
}

impl IntoResponse for TurnedAway {
    fn into_response(self) -> Response {
        match self {
            Self::NotSlack => {
                (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid signature" }))).into_response()
            }
            Self::For(error) => error.into_response(),
        }
    }
}

enum Passed {
    Answered(Response),
    Request(signing::VerifiedRequest, Routing),
}

async fn door(app: &App, headers: &HeaderMap, body: Body) -> Result<Passed, TurnedAway> {
    let secrets = &app.settings.signing_secrets;
    if secrets.is_empty() {
        let off = ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "inbound_off",
            "inbound is off: there is no signing secret",
        );
        let fix = "set SLACK_SIGNING_SECRET (Basic Information → App Credentials in the app's settings)";
        return Err(off.fix(fix).into());
    }
    let body = read_body(body).await?;
    let content_type = headers.get(header::CONTENT_TYPE);
    if is_ssl_check(content_type, &body) {
        return Ok(Passed::Answered(StatusCode::OK.into_response()));
    }
    let now_s = app.clock.now().as_secs();
    let verified = signing::verify(secrets, headers, body, now_s).map_err(|error| {
        tracing::warn!(reason = %error, "refused a request that is not signed by Slack");
        TurnedAway::NotSlack
    })?;
    match read(&verified) {
        Ok(Inbound::Request(routing)) => Ok(Passed::Request(verified, routing)),
        Ok(Inbound::UrlVerification { challenge }) => {
            tracing::info!("Slack verified this URL");
            Ok(Passed::Answered(Json(json!({ "challenge": challenge })).into_response()))
        }
        Err(error) => {
            tracing::warn!(reason = %error, "refused a signed request that cannot be read");
            let fix = "send what Slack sends: JSON for events, a form for commands and interactions";
            Err(ApiError::bad_request("unreadable", error.to_string()).fix(fix).into())
        }
    }
}

async fn read_body(body: Body) -> ApiResult<bytes::Bytes> {
    let limited = Limited::new(body, limits::INBOUND_BODY_BYTES).collect();
    match tokio::time::timeout(limits::INBOUND_READ, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let limit = limits::INBOUND_BODY_BYTES;
            Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the body is larger than {limit} bytes"),
            )
            .fix("Slack sends nothing this large; look at what is in between"))
        }
        Ok(Err(_)) => {
            Err(ApiError::bad_request("incomplete", "the body ended early").fix("send it again, whole"))
        }
        Err(_) => {
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long to arrive")
                .fix("send it again"))
        }
    }
}
