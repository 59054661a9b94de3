//! A verified request becomes durable, is handed over, and Slack is answered.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tautline_core::delivery::{Hand, Leased, NewDelivery};
use tautline_core::endpoint::{Endpoint, recipients};
use tautline_core::inbox::{Accepted, AnswerState, Incoming, Request, SeenKey};
use tautline_core::kinds::{Policy, Redelivered};
use tautline_core::{DeliveryId, RequestId, StoreResult, TenantId, limits};
use tautline_slack::request::Shortfall;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, debug_span};

use super::{Arrived, held};
use crate::app::App;
use crate::dispatch::{Held, Slot, Waiting, attempt};
use crate::error::{ApiError, chain};
use crate::metrics;

/// Takes a request. The work is a task of its own: if Slack hangs up, or its wait for the commit ends, what is
/// durable is delivered all the same.
pub(super) async fn accept(app: Arc<App>, arrived: Arrived, deadline: Instant) -> Response {
    let commit_by = Instant::now() + app.settings.tuning.commit_budget;
    let Ok(place) = app.accepting.clone().try_acquire_owned() else {
        tracing::error!("too many requests wait for the store; Slack is told so");
        metrics::rejected("too_many_waiting");
        return not_durable().into_response();
    };
    let (committed, mut is_committed) = oneshot::channel();
    let (say, said) = oneshot::channel();
    let slack = Slack { committed, say, _place: place };
    app.clone().tasks.spawn(take(app, arrived, deadline, slack).in_current_span());
    let in_time = match timeout_at(commit_by, &mut is_committed).await {
        Ok(committed) => committed.is_ok(),
        Err(_) => {
            // Closed before the last look: what is committed from here on knows that Slack was told otherwise.
            is_committed.close();
            is_committed.try_recv().is_ok()
        }
    };
    if !in_time {
        tracing::error!("a request was not durable in time; Slack is told so");
        metrics::rejected("not_durable");
        return not_durable().into_response();
    }
    said.await.unwrap_or_else(|_| not_durable().into_response())
}

/// The connection that waits, as the task sees it: first for the commit, then for the answer.
struct Slack {
    committed: oneshot::Sender<()>,
    say: oneshot::Sender<Response>,
    /// A place among those that wait for the store; free once it has answered.
    _place: OwnedSemaphorePermit,
}

impl Slack {
    /// Says what to answer; whether anybody still listens does not matter.
    fn answer(self, response: Response) {
        let _ = self.committed.send(());
        let _ = self.say.send(response);
    }
}

fn not_durable() -> ApiError {
    let error = "the request could not be stored in time";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_durable", error).fix("send it again")
}

async fn take(app: Arc<App>, arrived: Arrived, deadline: Instant, slack: Slack) {
    let mut plan = match Plan::make(&app, &arrived).await {
        Ok(plan) => plan,
        Err(error) => {
            return tracing::error!(error = %chain(&error), "no tenant could be looked up; Slack is told so");
        }
    };
    let request = plan.incoming.request.clone();
    // Slack's ear is there before the commit: the sweep may take a delivery the moment it is stored.
    let wait = (plan.incoming.answer == AnswerState::Waiting).then(|| plan.listen(&app, deadline));
    let begun = Instant::now();
    let committing = app.store.request_accept(plan.incoming.clone());
    match committing.instrument(debug_span!("commit")).await {
        Err(error) => {
            tracing::error!(error = %chain(&error), "a request could not be stored; Slack is told so");
        }
        Ok(Accepted::AlreadySeen) => {
            tracing::info!(kind = %request.kind, name = request.name, "seen before; not delivered again");
            app.metrics.repeated(request.kind);
            slack.answer(StatusCode::OK.into_response());
        }
        Ok(Accepted::Stored) => {
            app.metrics.stored(request.kind, request.tenant.is_none(), begun.elapsed());
            tracing::info!(
                request = %request.id, kind = %request.kind, name = request.name,
                tenant = request.tenant.as_ref().map(TenantId::as_str), recipients = plan.slots.len(),
                "accepted",
            );
            match wait {
                Some(wait) => hold(&app, plan, wait, slack).await,
                None => {
                    let fallback = |shortfall| held::fallback_response(&app, &request, shortfall);
                    slack.answer(plan.shortfall.map_or_else(|| StatusCode::OK.into_response(), fallback));
                    hand_over(&app, plan);
                }
            }
        }
    }
}

/// Slack waits for the handler's words.
async fn hold(app: &Arc<App>, plan: Plan, wait: held::Wait, slack: Slack) {
    let request = plan.incoming.request.clone();
    let Slack { committed, say, _place: place } = slack;
    drop(place);
    if committed.send(()).is_ok() {
        hand_over(app, plan);
        return wait.confirmed().answer(say).await;
    }
    // Slack had its 503: the person saw an error. Running the handler now would surprise them twice.
    let Some(tenant) = &request.tenant else { return };
    if let Err(error) = app.store.request_answered(tenant, request.id, AnswerState::Unanswered).await {
        tracing::error!(request = %request.id, error = %chain(&error), "could not be marked unanswered");
    }
}

/// Begins what was stored with a slot. The rest was stored ready, and the sweep finds it.
fn hand_over(app: &Arc<App>, plan: Plan) {
    let Plan { incoming, slots, mut held, .. } = plan;
    for (delivery, slot) in incoming.deliveries.iter().zip(slots) {
        let Some(slot) = slot else {
            app.dispatcher.nudge(delivery.endpoint, app.clock.now());
            continue;
        };
        let Hand::Leased { until } = delivery.hand else { continue };
        let leased = Leased {
            id: delivery.id,
            endpoint: delivery.endpoint,
            answers: delivery.answers,
            attempt: 1,
            due_at: delivery.due_at,
            leased_until: until,
            request: incoming.request.clone(),
        };
        let held = if delivery.answers { held.take() } else { None };
        app.tasks.spawn(attempt(app.clone(), leased, slot, held).in_current_span());
    }
}

/// What is stored for a request, and who gets it.
struct Plan {
    incoming: Incoming,
    /// A slot for each delivery, where one was free.
    slots: Vec<Option<Slot>>,
    /// Why nobody will answer, where that is known already.
    shortfall: Option<Shortfall>,
    /// Where Slack waits, for the attempt that answers.
    held: Option<Held>,
}

impl Plan {
    /// Makes the place where Slack waits. Without a slot, the sweep is told of it.
    fn listen(&mut self, app: &Arc<App>, deadline: Instant) -> held::Wait {
        let (held, verdict) = oneshot::channel();
        let answering =
            self.incoming.deliveries.iter().zip(&self.slots).find(|(delivery, _)| delivery.answers);
        let unslotted = answering.filter(|(_, slot)| slot.is_none()).map(|(delivery, _)| delivery.id);
        let (confirm, confirmed) = oneshot::channel();
        match unslotted {
            Some(delivery) => app.dispatcher.hold(delivery, Waiting { held, confirmed }),
            None => self.held = Some(held),
        }
        let request = self.incoming.request.clone();
        held::Wait::new(app.clone(), request, unslotted, confirm, verdict, deadline)
    }

    async fn make(app: &App, arrived: &Arrived) -> StoreResult<Self> {
        let Arrived { verified, routing, retry_reason } = arrived;
        let installation = app.store.installation_named(&routing.origin).await?;
        let tenant = match &installation {
            Some(installation) => Some(installation.tenant.clone()),
            None if app.settings.single_workspace => Some(TenantId::home()),
            None => None,
        };
        let (now, policy) = (app.clock.now(), Policy::of(routing.kind));
        let all = app.endpoints();
        let endpoints = tenant
            .as_ref()
            .map(|tenant| recipients(&all, tenant, routing.kind, &routing.name))
            .unwrap_or_default();
        let slot = |(index, endpoint): (usize, &&Endpoint)| {
            app.dispatcher.slot(endpoint.id, now, policy.held && index == 0)
        };
        let slots = endpoints.iter().enumerate().map(slot).collect::<Vec<_>>();
        let delivery = |tenant: &TenantId, (index, slot): (usize, &Option<Slot>)| NewDelivery {
            id: DeliveryId::generate(now, app.rng.as_ref()),
            endpoint: endpoints[index].id,
            answers: index == 0,
            due_at: now,
            hand: match slot {
                Some(_) => Hand::Leased { until: now.after(limits::LEASE) },
                None => app.dispatcher.queue(endpoints[index].id, tenant, routing.kind, now),
            },
        };
        let deliveries =
            tenant.iter().flat_map(|tenant| slots.iter().enumerate().map(move |slot| (tenant, slot)));
        let deliveries = deliveries.map(|(tenant, slot)| delivery(tenant, slot)).collect::<Vec<_>>();
        let shortfall = match (&tenant, endpoints.first()) {
            (None, _) => Some(Shortfall::NotConnected),
            (Some(_), None) => Some(Shortfall::Unknown),
            // Nobody will answer in time, whoever else gets a copy.
            (Some(_), Some(first)) if first.is_shut() && policy.redelivered == Redelivered::Never => {
                Some(Shortfall::NotReached)
            }
            (Some(_), Some(first)) if first.is_shut() => Some(Shortfall::Pending),
            (Some(_), Some(_)) => None,
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
            message: routing.message.clone(),
            received_at: now,
            expires_at: policy.expires_at(now),
            content_type: verified.content_type().map(text),
            body: verified.body().clone(),
        });
        let seen = SeenKey::of(routing, verified.signature());
        let incoming = Incoming { request, seen, retry_reason: retry_reason.clone(), answer, deliveries };
        Ok(Self { incoming, slots, shortfall, held: None })
    }
}
