//! The sender: takes from the outbox what is due, and posts it.
//!
//! The rules (one in flight per lane, the pace, what follows which answer) are `tautline_core::outbox`'s.

use std::sync::Arc;
use std::time::Duration;

use tautline_core::delivery::{Finished, Reap};
use tautline_core::outbox::{Claimed, Posted};
use tautline_core::sending::{self, SendAttempt, SendResult};
use tautline_core::{StoreError, StoreResult, Timestamp, limits};
use tautline_slack::errors::{self, Class};
use tautline_slack::message::{self, PostMessage};
use tautline_slack::{Refusal, web_api};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use crate::app::App;
use crate::egress::CallError;
use crate::error::chain;
use crate::installations::acting::{Acting, ActingError};

/// How much is on its way, and what calls the sender before its time.
pub(crate) struct Sender {
    permits: Arc<Semaphore>,
    wake: Notify,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(limits::SENDING)), wake: Notify::new() }
    }

    /// Something was accepted: it need not wait for the next look.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Sends until told to stop.
pub(crate) async fn send_all(app: Arc<App>, stop: CancellationToken) {
    let (mut reap_at, mut pause) = (Instant::now() + limits::REAP, limits::SWEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = app.sender.wake.notified(), if pause == limits::SWEEP => {}
        }
        let is_time_to_reap = Instant::now() >= reap_at;
        if is_time_to_reap {
            reap_at = Instant::now() + limits::REAP;
        }
        pause = match once(&app, is_time_to_reap).await {
            Ok(()) => limits::SWEEP,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the sender cannot use the store; it will try again");
                (pause * 2).min(limits::SWEEP_PAUSE)
            }
        };
    }
}

async fn once(app: &Arc<App>, reap: bool) -> StoreResult<()> {
    if reap {
        let changed = app.store.message_reap(app.clock.now(), Reap::RunOut).await?;
        if changed > 0 {
            tracing::warn!(changed, "settled messages whose time had run out");
        }
    }
    let free = app.sender.permits.available_permits();
    // Asked without writing, as most looks find nothing.
    if free == 0 || !app.store.message_due(app.clock.now()).await? {
        return Ok(());
    }
    let now = app.clock.now();
    let leased_until = now.after(limits::SEND_LEASE);
    for claimed in app.store.message_claim(now, leased_until, free).await? {
        let permit = app.sender.permits.clone().try_acquire_owned();
        let permit = permit.expect("only this task takes permits, and no more is claimed than are free");
        app.tasks.spawn(send(app.clone(), claimed, leased_until, permit));
    }
    Ok(())
}

async fn send(app: Arc<App>, claimed: Claimed, leased_until: Timestamp, permit: OwnedSemaphorePermit) {
    let started_at = app.clock.now();
    // A machine that slept in between: the lane may be another's before Slack answers.
    let is_late = started_at.after(limits::SLACK_TIMEOUT) > leased_until;
    let result = match is_late {
        true => SendResult::NotReached("the gateway was held up".to_owned()),
        false => {
            let span = debug_span!("send", message = %claimed.id, attempt = claimed.attempt);
            post(&app, &claimed, leased_until).instrument(span).await
        }
    };
    drop(permit);
    // Somebody else may be waiting for the place.
    app.sender.wake();
    let ended_at = app.clock.now();
    let attempt = SendAttempt {
        number: claimed.attempt,
        started_at,
        duration: Some(ended_at.since(started_at)),
        outcome: result.outcome(),
        error: result.error(),
    };
    if let Some(error) = &attempt.error {
        tracing::warn!(message = %claimed.id, attempt = claimed.attempt, error, "a message was not sent");
    }
    let next = sending::after(&result, claimed.attempt, ended_at, claimed.expires_at, app.rng.as_ref());
    let posted = match result {
        SendResult::Sent(posted) => Some(posted),
        _ => None,
    };
    settle(&app, &claimed, attempt, posted, next).await;
}

async fn post(app: &Arc<App>, claimed: &Claimed, leased_until: Timestamp) -> SendResult {
    let Ok(mut message) = serde_json::from_slice::<PostMessage>(&claimed.arguments) else {
        return SendResult::Refused("the stored message cannot be read".to_owned());
    };
    match app.store.channel_moved_to(&claimed.tenant, claimed.installation, &message.channel).await {
        Ok(Some(moved_to)) => message.channel = moved_to,
        Ok(None) => {}
        Err(error) => return unread(claimed, &error),
    }
    let until = Some(leased_until);
    let acting = Acting { until, ..Acting::bot(app, &claimed.tenant, claimed.installation) };
    let failed = match acting.call::<message::Posted>(|token| message.clone().call(token)).await {
        Ok(reply) => {
            let message::Posted { channel, ts } = reply.answer;
            return SendResult::Sent(Posted { channel, ts });
        }
        Err(error @ ActingError::NoToken) => return SendResult::Refused(error.to_string()),
        Err(error @ (ActingError::Renewing | ActingError::HeldUp)) => {
            return SendResult::NotReached(error.to_string());
        }
        Err(ActingError::Store(error)) => return unread(claimed, &error),
        Err(ActingError::Call(failed)) => failed,
    };
    match failed {
        CallError::Unreachable(error) => SendResult::NotReached(error),
        CallError::NoAnswer(error) => SendResult::Unknown(error),
        CallError::Refused(refusal) if web_api::may_have_been_done(&refusal) => {
            SendResult::Unknown(refusal.to_string())
        }
        CallError::Refused(Refusal::RateLimited { retry_after_s }) => {
            SendResult::Limited { retry_after: retry_after_s.map(Duration::from_secs) }
        }
        CallError::Refused(Refusal::Error(error)) => match errors::class(&error) {
            Some(Class::Limited) => SendResult::Limited { retry_after: None },
            Some(Class::Later) => SendResult::Postponed(error),
            Some(_) => SendResult::Refused(error),
            None => SendResult::Odd(error),
        },
        CallError::Refused(other) => SendResult::Unknown(other.to_string()),
    }
}

fn unread(claimed: &Claimed, error: &StoreError) -> SendResult {
    tracing::error!(message = %claimed.id, error = %chain(error), "what a message needs cannot be read yet");
    SendResult::NotReached("the gateway could not read its store".to_owned())
}

/// Tries for as long as the lease holds: forgotten, a message that was sent would be *uncertain*.
async fn settle(
    app: &App,
    claimed: &Claimed,
    attempt: SendAttempt,
    posted: Option<Posted>,
    next: sending::SendNext,
) {
    let mut pause = limits::SWEEP;
    let give_up = attempt.started_at.after(limits::SEND_LEASE);
    loop {
        match app.store.message_settle(claimed, attempt.clone(), posted.clone(), next).await {
            Ok(Finished::Recorded) => return,
            Ok(Finished::Fenced) => {
                tracing::warn!(message = %claimed.id, "the lease ran out before the attempt ended");
                return;
            }
            Err(error) if app.clock.now() >= give_up => {
                tracing::error!(message = %claimed.id, error = %chain(&error), "what became of a message could not be put on record");
                return;
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(limits::SWEEP_PAUSE);
    }
}
