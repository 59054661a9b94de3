//! A verified request becomes durable, is handed over, and Slack is answered.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tautline_core::delivery::{Leased, NewDelivery};
use tautline_core::endpoint::recipients;
use tautline_core::inbox::{Accepted, AnswerState, Incoming, Request, SeenKey};
use tautline_core::kinds::Policy;
use tautline_core::{DeliveryId, RequestId, StoreResult, TenantId, limits};
use tautline_slack::request::{Routing, Shortfall};
use tautline_slack::signing::VerifiedRequest;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::held;
use crate::app::App;
use crate::dispatch::{Slot, attempt};
use crate::error::{ApiError, chain};

/// Takes a request. The work is a task of its own: if Slack hangs up, or its wait for the commit ends, what is
/// durable is delivered all the same.
pub(super) async fn accept(
    app: Arc<App>,
    verified: VerifiedRequest,
    routing: Routing,
    deadline: Instant,
) -> Response {
    let commit_by = Instant::now() + app.settings.tuning.commit_budget;
    let (say, said) = oneshot::channel();
    app.clone().tasks.spawn(take(app, verified, routing, deadline, say));
    let waiting = async { said.await.ok() };
    let committed = match timeout_at(commit_by, waiting).await {
        Ok(committed) => committed,
        Err(_) => {
            tracing::error!("a request was not durable in time; Slack is told so");
            None
        }
    };
    match committed {
        Some(Committed::Answer(response)) => response,
        Some(Committed::Held(wait)) => wait.answer().await,
        None => not_durable().into_response(),
    }
}

/// What is known once the request is durable.
pub(super) enum Committed {
    /// The answer.
    Answer(Response),
    /// Slack waits for the handler.
    Held(held::Wait),
}

fn not_durable() -> ApiError {
    let error = "the request could not be stored in time";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_durable", error).fix("send it again")
}

async fn take(
    app: Arc<App>,
    verified: VerifiedRequest,
    routing: Routing,
    deadline: Instant,
    say: oneshot::Sender<Committed>,
) {
    let plan = match Plan::make(&app, &verified, &routing).await {
        Ok(plan) => plan,
        Err(error) => return refuse(&error, say),
    };
    let request = plan.incoming.request.clone();
    match app.store.request_accept(plan.incoming.clone()).await {
        Err(error) => refuse(&error, say),
        Ok(Accepted::AlreadySeen) => {
            tracing::info!(kind = %request.kind, name = request.name, "seen before; not delivered again");
            let _ = say.send(Committed::Answer(StatusCode::OK.into_response()));
        }
        Ok(Accepted::Stored) => {
            tracing::info!(
                request = %request.id, kind = %request.kind, name = request.name,
                tenant = request.tenant.as_ref().map(TenantId::as_str), recipients = plan.slots.len(),
                "accepted",
            );
            stored(&app, plan, deadline, say).await;
        }
    }
}

fn refuse(error: &tautline_core::StoreError, say: oneshot::Sender<Committed>) {
    tracing::error!(error = %chain(error), "a request could not be stored; Slack is told so");
    let _ = say.send(Committed::Answer(not_durable().into_response()));
}

async fn stored(app: &Arc<App>, plan: Plan, deadline: Instant, say: oneshot::Sender<Committed>) {
    let request = plan.incoming.request.clone();
    if plan.incoming.answer != AnswerState::Waiting {
        let answer = match plan.shortfall {
            Some(shortfall) => held::fallback_response(&request, shortfall),
            None => StatusCode::OK.into_response(),
        };
        let _ = say.send(Committed::Answer(answer));
        return hand_over(app, plan, None);
    }
    let (held, verdict) = oneshot::channel();
    let answering =
        plan.incoming.deliveries.iter().find(|delivery| delivery.answers).map(|delivery| delivery.id);
    let wait = held::Wait::new(app.clone(), request.clone(), answering, verdict, deadline);
    if say.send(Committed::Held(wait)).is_ok() {
        return hand_over(app, plan, Some(held));
    }
    // Slack had its 503: the person saw an error. Running the handler now would surprise them twice.
    let Some(tenant) = &request.tenant else { return };
    if let Err(error) = app.store.request_answered(tenant, request.id, AnswerState::Unanswered).await {
        tracing::error!(request = %request.id, error = %chain(&error), "could not be marked unanswered");
    }
}

fn hand_over(app: &Arc<App>, plan: Plan, mut held: Option<crate::dispatch::Held>) {
    for (delivery, slot) in plan.incoming.deliveries.iter().zip(plan.slots) {
        let held = if delivery.answers { held.take() } else { None };
        let Some(slot) = slot else {
            // Without a slot it was stored ready, and the sweep will find it.
            if let Some(held) = held {
                app.dispatcher.hold(delivery.id, held);
            }
            continue;
        };
        let leased = Leased {
            id: delivery.id,
            endpoint: delivery.endpoint,
            answers: delivery.answers,
            attempt: 1,
            request: plan.incoming.request.clone(),
        };
        app.tasks.spawn(attempt(app.clone(), leased, slot, held));
    }
}

/// What is stored for a request, and who gets it.
struct Plan {
    incoming: Incoming,
    /// A slot for each delivery, where one was free.
    slots: Vec<Option<Slot>>,
    /// Why nobody will answer, where that is known already.
    shortfall: Option<Shortfall>,
}

impl Plan {
    async fn make(app: &App, verified: &VerifiedRequest, routing: &Routing) -> StoreResult<Self> {
        let installation = app.store.installation_named(&routing.origin).await?;
        let tenant = match &installation {
            Some(installation) => Some(installation.tenant.clone()),
            None if app.settings.single_workspace => Some(TenantId::home()),
            None => None,
        };
        let (now, policy) = (app.clock.now(), Policy::of(routing.kind));
        let endpoints = tenant
            .as_ref()
            .map(|tenant| recipients(&app.endpoints, tenant, routing.kind, &routing.name))
            .unwrap_or_default();
        let slots = endpoints.iter().map(|endpoint| app.dispatcher.slot(endpoint.id)).collect::<Vec<_>>();
        let delivery = |(index, slot): (usize, &Option<Slot>)| NewDelivery {
            id: DeliveryId::generate(now, app.rng.as_ref()),
            endpoint: endpoints[index].id,
            answers: index == 0,
            leased_until: slot.as_ref().map(|_| now.after(limits::LEASE)),
        };
        let deliveries = slots.iter().enumerate().map(delivery).collect::<Vec<_>>();
        let shortfall = match (&tenant, endpoints.is_empty()) {
            (None, _) => Some(Shortfall::NotConnected),
            (Some(_), true) => Some(Shortfall::Unknown),
            (Some(_), false) => None,
        };
        let answer = match shortfall {
            _ if !policy.held => AnswerState::NotHeld,
            Some(_) => AnswerState::Fallback,
            None => AnswerState::Waiting,
        };
        let text = |header: &http::HeaderValue| String::from_utf8_lossy(header.as_bytes()).into_owned();
        let request = Arc::new(Request {
            id: RequestId::generate(now, app.rng.as_ref()),
            tenant,
            installation: installation.map(|installation| installation.id),
            kind: routing.kind,
            name: routing.name.clone(),
            slack_id: routing.event_id.clone(),
            team_id: routing.origin.team.as_ref().map(ToString::to_string),
            received_at: now,
            expires_at: policy.expires_at(now),
            content_type: verified.content_type().map(text),
            body: verified.body().clone(),
        });
        let seen = SeenKey::of(routing, verified.signature());
        Ok(Self { incoming: Incoming { request, seen, answer, deliveries }, slots, shortfall })
    }
}
