//! `/inbox/{id}`: one request: what came, who got it, what was answered.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tautline_core::access::Scope;
use tautline_core::delivery::{Answer, Attempt, AttemptResult, Delivery};
use tautline_core::endpoint::Target;
use tautline_core::inbox::{AnswerState, RequestSummary, Retries, Whose};
use tautline_core::{EndpointId, RequestId, Timestamp};

use super::{delivery_badge, kind_name};
use crate::app::App;
use crate::auth::SignedIn;
use crate::dashboard::bits::{AttemptView, Badge, Moment, took};
use crate::dashboard::frame::{Frame, Section};
use crate::dashboard::payload::{self, Payload};
use crate::error::{ApiError, ApiPath};
use crate::page::{PageResult, Tone, render};

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    frame: Frame,
    id: RequestId,
    kind: String,
    name: String,
    slack_id: Option<String>,
    message: Option<String>,
    again: Option<String>,
    team: Option<String>,
    received: Moment,
    told: &'static str,
    /// Whether what the handler said is what Slack was told.
    is_answered: bool,
    deliveries: Vec<DeliveryView>,
    payload: Payload,
    content_type: Option<String>,
}

struct DeliveryView {
    endpoint: String,
    id: EndpointId,
    answers: bool,
    state: Badge,
    next: Option<Moment>,
    attempts: Vec<AttemptView>,
}

pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    who: SignedIn,
    ApiPath(id): ApiPath<String>,
) -> PageResult<Response> {
    let tenant = who.may(Scope::Read)?;
    let unknown = || {
        ApiError::not_found("request_unknown", "There is no such request here.")
            .fix("It may be another tenant's. The inbox lists yours.")
    };
    let request_id: RequestId = id.parse().map_err(|_| unknown())?;
    let found = app.store.request(Whose::Tenant(tenant), request_id).await?.ok_or_else(unknown)?;
    let frame = Frame::of(&app, &who, Section::Inbox).await?;
    let mut page = page(&app, frame, found);
    if !who.can(Scope::Send) {
        page.payload = page.payload.without_ways_to_speak();
    }
    Ok(render(StatusCode::OK, &page))
}

fn page(app: &App, frame: Frame, found: RequestSummary) -> RequestPage {
    let now = app.clock.now();
    let RequestSummary { request, answer, retries, deliveries } = found;
    RequestPage {
        frame,
        id: request.id,
        kind: kind_name(request.kind),
        name: request.name,
        slack_id: request.slack_id,
        message: request.message,
        again: again(&retries),
        team: request.team_id,
        received: Moment::of(request.received_at, now),
        told: told(answer),
        is_answered: answer == AnswerState::Answered,
        deliveries: deliveries.into_iter().map(|delivery| view(app, delivery, now)).collect(),
        payload: Payload::of(request.content_type.as_deref(), &request.body),
        content_type: request.content_type,
    }
}

/// How often Slack sent it again, in words.
fn again(retries: &Retries) -> Option<String> {
    let times = match retries.count {
        0 => return retries.reason.as_ref().map(|reason| format!("this is Slack's second try: {reason}")),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let why = retries.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{times}{why}; it was delivered the first time"))
}

fn told(answer: AnswerState) -> &'static str {
    match answer {
        AnswerState::NotHeld => "200, as soon as it was on disk: Slack waits for no words",
        AnswerState::Waiting => "nothing yet: Slack waits for the handler",
        AnswerState::Answered => "the handler's own words",
        AnswerState::Fallback => {
            "the fallback: there were no words of the handler's own when it had to be told"
        }
        AnswerState::Unanswered => "nothing: it was stored too late, or the gateway stopped meanwhile",
    }
}

/// For a tenant's eyes: where the company's own endpoints are is the company's business.
fn endpoint_name(app: &App, id: EndpointId) -> String {
    match app.endpoints().iter().find(|endpoint| endpoint.id == id) {
        Some(endpoint) => match &endpoint.target {
            Target::InProcess => format!("{} (in this process)", endpoint.name),
            Target::Slack { .. } | Target::Standard { .. } => "The product's app".to_owned(),
        },
        None => "An endpoint that is no longer there".to_owned(),
    }
}

fn view(app: &App, delivery: Delivery, now: Timestamp) -> DeliveryView {
    DeliveryView {
        endpoint: endpoint_name(app, delivery.endpoint),
        id: delivery.endpoint,
        answers: delivery.answers,
        state: delivery_badge(&delivery),
        next: delivery.next_at.map(|at| Moment::of(at, now)),
        attempts: delivery.attempts.into_iter().map(|attempt| attempt_view(attempt, now)).collect(),
    }
}

fn attempt_view(attempt: Attempt, now: Timestamp) -> AttemptView {
    let words = |answer: &Answer| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        (!text.is_empty()).then(|| payload::json(&text).unwrap_or(text))
    };
    let (outcome, error, answer) = match attempt.result {
        Some(AttemptResult::Answered(answer)) => {
            (Badge::new(format!("answered {}", answer.status), Tone::Good), None, words(&answer))
        }
        Some(AttemptResult::Refused { answer, .. }) => {
            (Badge::new(format!("answered {}", answer.status), Tone::Bad), None, words(&answer))
        }
        Some(AttemptResult::NotReached { error }) => {
            (Badge::new("not reached", Tone::Bad), Some(error), None)
        }
        Some(AttemptResult::Unknown { error }) => {
            (Badge::new("no complete answer", Tone::Bad), Some(error), None)
        }
        None => (Badge::new("interrupted", Tone::Bad), None, None),
    };
    AttemptView {
        number: attempt.number,
        started: Moment::of(attempt.started_at, now),
        took: attempt.duration.map(took),
        outcome,
        error,
        answer,
    }
}
