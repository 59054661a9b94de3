//! One attempt: ask the endpoint, tell Slack if it waits, put it on record.

use std::sync::Arc;

use tautline_core::delivery::{Answer, Attempt, AttemptResult, Finished, Leased};
use tautline_core::kinds::Policy;
use tautline_core::limits;
use tautline_core::schedule::{self, Next};
use tautline_slack::request::Shortfall;
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span};

use super::way::Via;
use super::{Ear, HandlerCall, Slot, health, late};
use crate::app::App;
use crate::error::chain;
use crate::metrics;
use crate::outbound::SlackCalls;

/// Where Slack's wait ends.
pub(crate) type Held = oneshot::Sender<Verdict>;

/// What the attempt says to somebody who waits.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The handler's own words.
    Answer(Answer),
    /// There are none.
    Shortfall(Shortfall),
}

/// Makes an attempt at a leased delivery. `held` is where Slack waits for the words, if it still does.
pub(crate) async fn attempt(app: Arc<App>, leased: Leased, slot: Slot, held: Option<Held>) {
    let (started_at, ear) = (app.clock.now(), Ear::new(held));
    // Whoever stood still until the lease is about to end leaves it to the next: what is sent now could be sent twice.
    if started_at.after(limits::ENDPOINT_TIMEOUT) > leased.leased_until {
        return tracing::warn!(delivery = %leased.id, attempt = leased.attempt, "not begun: the lease is about to run out");
    }
    app.metrics.handed_over(leased.attempt, started_at.since(leased.due_at));
    let span =
        debug_span!("attempt", request = %leased.request.id, attempt = leased.attempt, outcome = Empty);
    let result = ask(&app, &leased, &slot, &ear).instrument(span.clone()).await;
    span.record("outcome", outcome(&result));
    drop(span);
    let ended_at = app.clock.now();
    let change = slot.ended(&result, started_at, ended_at);
    // The slot is free as soon as the endpoint is: what follows is our own business.
    let way = slot.way.clone();
    drop(slot);
    metrics::attempted(outcome(&result), ended_at.since(started_at));
    let policy = Policy::of(leased.request.kind);
    let expires_at = leased.request.expires_at;
    let next = schedule::after(&policy, &result, leased.attempt, ended_at, expires_at, app.rng.as_ref());
    if !matches!(result, AttemptResult::Answered(_)) {
        tracing::warn!(
            request = %leased.request.id, endpoint = %leased.endpoint, attempt = leased.attempt,
            "an attempt failed: {}; {}", told(&result), follows(&next),
        );
    }
    let unheard = ear.say(verdict(&result, &next)).err();
    let record = Attempt {
        number: leased.attempt,
        started_at,
        duration: Some(ended_at.since(started_at)),
        result: Some(result),
    };
    finish(&app, &leased, &record, &next).await;
    let result = record.result.as_ref().expect("it ended");
    health::after(&app, leased.endpoint, &way, result, change, &next, ended_at).await;
    if let Some(Verdict::Answer(answer)) = unheard
        && leased.answers
        && policy.held
    {
        late::send(&app, &leased, &answer).await;
    }
}

async fn ask(app: &Arc<App>, leased: &Leased, slot: &Slot, ear: &Ear) -> AttemptResult {
    let handler = match &slot.way.via {
        Via::Http(address) => return app.dispatcher.client.ask(address, leased, app.clock.now()).await,
        Via::InProcess(handler) => handler.clone(),
    };
    let request = leased.request.clone();
    let call = HandlerCall {
        slack: SlackCalls::new(app.clone(), request.clone()),
        request,
        ear: ear.clone(),
        answers: leased.answers,
        attempt: leased.attempt,
    };
    // A task of its own: a handler that panics fails its own attempt and nothing else.
    let mut running = tokio::spawn(async move { handler.handle(call).await });
    match tokio::time::timeout(limits::ENDPOINT_TIMEOUT, &mut running).await {
        Ok(Ok(said)) => {
            let answer = Answer::from(said);
            if (200..300).contains(&answer.status) {
                AttemptResult::Answered(answer)
            } else {
                AttemptResult::Refused { answer, retry_after: None }
            }
        }
        Ok(Err(_)) => AttemptResult::Unknown { error: "the handler panicked".to_owned() },
        Err(_) => {
            running.abort();
            AttemptResult::Unknown { error: "the handler took too long".to_owned() }
        }
    }
}

fn verdict(result: &AttemptResult, next: &Next) -> Verdict {
    match (result, next) {
        (AttemptResult::Answered(answer), _) => Verdict::Answer(answer.clone()),
        (_, Next::Retry { .. }) => Verdict::Shortfall(Shortfall::Pending),
        (result, _) if result.surely_did_not_run() => Verdict::Shortfall(Shortfall::NotReached),
        (AttemptResult::Refused { .. }, _) => Verdict::Shortfall(Shortfall::Failed),
        _ => Verdict::Shortfall(Shortfall::Unsure),
    }
}

fn outcome(result: &AttemptResult) -> &'static str {
    match result {
        AttemptResult::Answered(_) => "answered",
        AttemptResult::Refused { .. } => "refused",
        AttemptResult::NotReached { .. } => "not_reached",
        AttemptResult::Unknown { .. } => "unknown",
    }
}

/// In a person's words.
pub(crate) fn told(result: &AttemptResult) -> String {
    match result {
        AttemptResult::Answered(answer) => format!("answered {}", answer.status),
        AttemptResult::Refused { answer, .. } => format!("the endpoint answered {}", answer.status),
        AttemptResult::NotReached { error } => format!("the endpoint was not reached: {error}"),
        AttemptResult::Unknown { error } => format!("no complete answer: {error}"),
    }
}

/// What follows, in a person's words.
fn follows(next: &Next) -> String {
    match next {
        Next::Delivered => "it is delivered".to_owned(),
        Next::Retry { at } => format!("again at {at}"),
        Next::Dead { reason } => format!("given up: {}", reason.as_str()),
    }
}

async fn finish(app: &App, leased: &Leased, record: &Attempt, next: &Next) {
    let Some(tenant) = &leased.request.tenant else { return };
    match app.store.delivery_finish(tenant, leased.id, record, next).await {
        Ok(Finished::Recorded) => {}
        Ok(Finished::Fenced) => {
            tracing::warn!(delivery = %leased.id, attempt = leased.attempt, "the lease ran out before the attempt ended");
        }
        // The lease runs out and the delivery is taken again: at least once, with the same id.
        Err(error) => {
            tracing::error!(delivery = %leased.id, error = %chain(&error), "an attempt could not be put on record");
        }
    }
}
