//! Slack waits: for the handler's words, until the deadline; then it gets the kind's fallback.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tautline_core::DeliveryId;
use tautline_core::delivery::Answer;
use tautline_core::inbox::{AnswerState, Request};
use tautline_core::kinds::Policy;
use tautline_slack::request::{Shortfall, fallback};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::app::App;
use crate::dispatch::Verdict;
use crate::error::{ApiError, chain};

/// A request that Slack waits for.
pub(super) struct Wait {
    app: Arc<App>,
    request: Arc<Request>,
    /// The delivery under which the sweep was told where Slack waits.
    unslotted: Option<DeliveryId>,
    /// Tells the sweep that it may run what it finds.
    confirm: Option<oneshot::Sender<()>>,
    verdict: oneshot::Receiver<Verdict>,
    deadline: Instant,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(delivery) = self.unslotted {
            self.app.dispatcher.take_held(delivery);
        }
    }
}

impl Wait {
    pub(super) fn new(
        app: Arc<App>,
        request: Arc<Request>,
        unslotted: Option<DeliveryId>,
        confirm: oneshot::Sender<()>,
        verdict: oneshot::Receiver<Verdict>,
        deadline: Instant,
    ) -> Self {
        Self { app, request, unslotted, confirm: Some(confirm), verdict, deadline }
    }

    /// The request is durable, and Slack still waits.
    pub(super) fn confirmed(mut self) -> Self {
        // The sweep may have nothing to do with it.
        let _ = self.confirm.take().map(|confirm| confirm.send(()));
        self
    }

    /// Waits, and answers. The deadline (or Slack itself, by hanging up) ends *Slack's* wait; the attempt goes
    /// on, and its words come late.
    pub(super) async fn answer(mut self, mut say: oneshot::Sender<Response>) {
        let heard = tokio::select! {
            verdict = &mut self.verdict => verdict.ok(),
            () = sleep_until(self.deadline) => None,
            () = say.closed() => None,
        };
        // Closed before the last look: words that come from here on know that they are late.
        self.verdict.close();
        let verdict = heard.or_else(|| self.verdict.try_recv().ok());
        match verdict {
            Some(Verdict::Answer(answer)) => {
                // Slack has waited long enough: said first. Were the record lost, the request would be shown
                // as unanswered although it was not: harmless, and never repeated.
                let _ = say.send(as_it_is(answer));
                let _ = record(&self.app, &self.request, AnswerState::Answered).await;
            }
            Some(Verdict::Shortfall(shortfall)) => drop(say.send(self.fall_back(shortfall).await)),
            None => drop(say.send(self.fall_back(Shortfall::Pending).await)),
        }
    }

    /// On record before it is sent: after a crash it must be known what the person was told.
    async fn fall_back(&self, shortfall: Shortfall) -> Response {
        let recorded = record(&self.app, &self.request, AnswerState::Fallback);
        match timeout(self.app.settings.tuning.commit_budget, recorded).await {
            Ok(Ok(())) => fallback_response(&self.app, &self.request, shortfall),
            Ok(Err(error)) => error.into_response(),
            // An error the person sees is better than words that nobody knows of.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
}

async fn record(app: &App, request: &Request, answer: AnswerState) -> Result<(), ApiError> {
    let Some(tenant) = &request.tenant else { return Ok(()) };
    let recorded = app.store.request_answered(tenant, request.id, answer).await;
    recorded.map_err(|error| {
        tracing::error!(request = %request.id, error = %chain(&error), "Slack's answer could not be put on record");
        error.into()
    })
}

/// The handler's answer, as it is.
fn as_it_is(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if let Some(content_type) = answer.content_type.and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// The kind's fallback.
pub(super) fn fallback_response(app: &App, request: &Request, shortfall: Shortfall) -> Response {
    if Policy::of(request.kind).held {
        app.metrics.fell_back(request.kind);
    }
    let content_type = request.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    match fallback(request.kind, &request.name, content_type.as_ref(), &request.body, shortfall) {
        Some(body) => Json(body).into_response(),
        None => StatusCode::OK.into_response(),
    }
}
