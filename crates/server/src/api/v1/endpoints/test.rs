//! `POST /api/v1/endpoints/{id}/test`: ask an endpoint now, and see what it says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use tautline_core::access::Scope;
use tautline_core::delivery::{AttemptResult, Leased};
use tautline_core::endpoint::Target;
use tautline_core::inbox::Request;
use tautline_core::{DeliveryId, RequestId, TenantId, limits, new_secret};
use tautline_slack::request::Kind;
use utoipa::ToSchema;

use super::read;
use crate::app::App;
use crate::auth::Platform;
use crate::dispatch::told;
use crate::egress::Address;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct Tested {
    /// Whether it took the request.
    ok: bool,
    status: Option<u16>,
    duration_ms: u64,
    /// What it answered.
    answer: Option<String>,
    /// What went wrong.
    error: Option<String>,
    /// What to do about it.
    fix: Option<&'static str>,
}

/// Ask an endpoint now.
///
/// In the form `slack` with the `url_verification` that Slack itself asks with, which Bolt apps answer by themselves; in the
/// form `standard` with an `endpoint.test`. It leaves no record, and changes nothing: also one that is paused is asked.
#[utoipa::path(
    post,
    path = "/api/v1/endpoints/{id}/test",
    tag = "endpoints",
    params(("id" = String, Path, description = "end_…")),
    responses(
        (status = 200, description = "What it said, or why it said nothing", body = Tested),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such endpoint", body = ErrorBody),
        (status = 409, description = "The environment declares it", body = ErrorBody),
    ),
)]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<Tested>> {
    platform.may(Scope::Manage)?;
    let kept = read::made(&app, &id).await?;
    let address = Address::of(&kept).ok_or_else(|| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "sealed", "the endpoint's secret does not open")
            .fix("start the server with the key that sealed it, or rotate the secret")
    })?;
    // Whether the app knows its new secret is what somebody wants to know who rotated it.
    let address = address.without_previous();
    let now = app.clock.now();
    let challenge = new_secret(app.rng.as_ref());
    let is_slack = matches!(kept.endpoint.target, Target::Slack { .. });
    let (kind, name, body) = if is_slack {
        (Kind::Event, "url_verification", json!({ "type": "url_verification", "challenge": challenge }))
    } else {
        (Kind::Endpoint, "test", json!({ "endpoint": kept.endpoint.id }))
    };
    let id = RequestId::generate(now, app.rng.as_ref());
    let request = Request::own(id, TenantId::home(), kind, name, body.to_string(), now);
    let leased = Leased {
        id: DeliveryId::generate(now, app.rng.as_ref()),
        endpoint: kept.endpoint.id,
        answers: true,
        attempt: 1,
        due_at: now,
        leased_until: now.after(limits::LEASE),
        request: Arc::new(request),
    };
    let result = app.dispatcher.client.ask(&address, &leased, now).await;
    let took = app.clock.now().since(now);
    Ok(Json(tested(
        &result,
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        is_slack.then_some(&challenge),
    )))
}

fn tested(result: &AttemptResult, duration_ms: u64, challenge: Option<&String>) -> Tested {
    let (AttemptResult::Answered(answer) | AttemptResult::Refused { answer, .. }) = result else {
        let fix = "see that the app runs, and that this server reaches its address";
        return Tested {
            ok: false,
            status: None,
            duration_ms,
            answer: None,
            error: Some(told(result)),
            fix: Some(fix),
        };
    };
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let is_taken = matches!(result, AttemptResult::Answered(_));
    let is_bolt = challenge.is_none_or(|challenge| text.contains(challenge.as_str()));
    let (error, fix) = match answer.status {
        _ if is_taken && is_bolt => (None, None),
        _ if is_taken => (
            Some(
                "it answered, but not as an app of Slack's does: the challenge is not in the answer"
                    .to_owned(),
            ),
            Some("give the path at which the app takes Slack's events, such as /slack/events"),
        ),
        401 | 403 => (
            Some(told(result)),
            Some("give the app this endpoint's newest secret (rotate-secret shows another)"),
        ),
        404 | 405 => (Some(told(result)), Some("give the whole path at which the app takes requests")),
        300..=399 => (Some(told(result)), Some("redirects are not followed: give the address they lead to")),
        _ => (Some(told(result)), Some("see the app's own log")),
    };
    let answer_text = (!text.is_empty()).then_some(text);
    Tested { ok: error.is_none(), status: Some(answer.status), duration_ms, answer: answer_text, error, fix }
}
