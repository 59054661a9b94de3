//! How a request in the inbox is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Serialize;
use tautline_core::delivery::{Attempt, AttemptResult, DeadReason, Delivery};
use tautline_core::inbox::{Request, RequestSummary};
use tautline_core::{DeliveryId, EndpointId, InstallationId, RequestId};
use utoipa::ToSchema;

/// A request without its body.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestBody {
    #[schema(value_type = String, example = "req_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: RequestId,
    #[schema(example = "event")]
    kind: &'static str,
    /// What is asked within the kind: an event's type, a command, an action_id, a callback_id.
    #[serde(rename = "type")]
    #[schema(example = "app_mention")]
    name: String,
    /// Slack's `event_id`; null for other kinds.
    slack_id: Option<String>,
    /// Null while unclaimed.
    tenant: Option<String>,
    #[schema(value_type = Option<String>)]
    installation: Option<InstallationId>,
    team_id: Option<String>,
    /// The message that an event is about, as `channel/ts`: the `app_mention` and the `message` of one mention share it.
    #[schema(example = "C0123/1700000000.000100")]
    message: Option<String>,
    /// How often Slack sent it again after it was stored.
    retries: u32,
    /// Why, by Slack's last word.
    #[schema(example = "http_timeout")]
    retry_reason: Option<String>,
    /// RFC 3339.
    received_at: String,
    /// What Slack was told: `not_held`, `waiting`, `answered`, `fallback`, `unanswered`.
    answer: &'static str,
    deliveries: Vec<DeliveryBody>,
}

/// A request with its body.
#[derive(Serialize, ToSchema)]
pub(crate) struct FullRequestBody {
    #[serde(flatten)]
    request: RequestBody,
    content_type: Option<String>,
    /// The body as it came, if it is text.
    body: Option<String>,
    /// The body as it came, if it is not.
    body_base64: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryBody {
    #[schema(value_type = String)]
    id: DeliveryId,
    #[schema(value_type = String)]
    endpoint: EndpointId,
    /// Whether this endpoint's words are the answer to Slack.
    answers: bool,
    /// `ready`, `leased`, `delivered`, `dead`.
    state: &'static str,
    /// RFC 3339; while ready.
    next_at: Option<String>,
    /// `exhausted`, `expired`, `not_repeatable`, `endpoint_removed`; when dead.
    dead_reason: Option<&'static str>,
    attempts: Vec<AttemptBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttemptBody {
    number: u32,
    /// RFC 3339.
    started_at: String,
    /// Milliseconds; null when the process ended before the attempt did.
    duration_ms: Option<u64>,
    /// `answered`, `refused`, `not_reached`, `unknown`, `interrupted`.
    outcome: &'static str,
    status: Option<u16>,
    error: Option<String>,
    /// What was answered. Only where one request is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

pub(super) fn summary(summary: RequestSummary) -> RequestBody {
    let RequestSummary { request, answer, retries, deliveries } = summary;
    RequestBody {
        id: request.id,
        kind: request.kind.as_str(),
        name: request.name,
        slack_id: request.slack_id,
        tenant: request.tenant.map(|tenant| tenant.to_string()),
        installation: request.installation,
        team_id: request.team_id,
        message: request.message,
        retries: retries.count,
        retry_reason: retries.reason,
        received_at: request.received_at.to_string(),
        answer: answer.as_str(),
        deliveries: deliveries.into_iter().map(delivery).collect(),
    }
}

pub(super) fn full(found: RequestSummary) -> FullRequestBody {
    let Request { content_type, body, .. } = found.request.clone();
    let text = std::str::from_utf8(&body).ok().map(str::to_owned);
    FullRequestBody {
        request: summary(found),
        content_type,
        body_base64: text.is_none().then(|| BASE64.encode(&body)),
        body: text,
    }
}

pub(in crate::api::v1) fn delivery(delivery: Delivery) -> DeliveryBody {
    DeliveryBody {
        id: delivery.id,
        endpoint: delivery.endpoint,
        answers: delivery.answers,
        state: delivery.state.as_str(),
        next_at: delivery.next_at.map(|at| at.to_string()),
        dead_reason: delivery.dead.map(DeadReason::as_str),
        attempts: delivery.attempts.into_iter().map(attempt).collect(),
    }
}

fn attempt(attempt: Attempt) -> AttemptBody {
    let text = |body: &Bytes| (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned());
    let (outcome, status, error, answer) = match attempt.result {
        Some(AttemptResult::Answered(answer)) => ("answered", Some(answer.status), None, text(&answer.body)),
        Some(AttemptResult::Refused { answer, .. }) => {
            ("refused", Some(answer.status), None, text(&answer.body))
        }
        Some(AttemptResult::NotReached { error }) => ("not_reached", None, Some(error), None),
        Some(AttemptResult::Unknown { error }) => ("unknown", None, Some(error), None),
        None => ("interrupted", None, None, None),
    };
    AttemptBody {
        number: attempt.number,
        started_at: attempt.started_at.to_string(),
        duration_ms: attempt.duration.and_then(|duration| u64::try_from(duration.as_millis()).ok()),
        outcome,
        status,
        error,
        answer,
    }
}
