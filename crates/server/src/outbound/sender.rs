//! The sender: takes from the outbox what is due, and does it at Slack.
//!
//! The rules (one in flight per lane, the pace, turns, what follows which answer) are `tautline_core::outbox`'s.

use std::sync::Arc;

use tautline_core::delivery::{Finished, Reap};
use tautline_core::outbox::{Claim, Claimed};
use tautline_core::sending::{self, SendAttempt, SendResult};
use tautline_core::settlement::Settlement;
use tautline_core::{StoreResult, Timestamp, limits};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use super::perform::{before_a_look, perform};
use super::routing;
use crate::app::App;
use crate::error::chain;
use crate::metrics;

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
    let (mut is_well, mut looked_at) = (true, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = app.sender.wake.notified(), if is_well => {}
        }
        // Under load what many ends and arrivals ask for is one look.
        tokio::time::sleep_until(looked_at + limits::SEND_PAUSE).await;
        looked_at = Instant::now();
        let is_time_to_reap = looked_at >= reap_at;
        if is_time_to_reap {
            reap_at = Instant::now() + limits::REAP;
        }
        let looked = once(&app, is_time_to_reap).await;
        is_well = looked.is_ok();
        pause = match looked {
            // As lanes keep their pace to the millisecond, one comes back when the next is due, and not by the clock.
            Ok(Some(due)) => due.since(app.clock.now()).min(limits::SWEEP),
            Ok(None) => limits::SWEEP,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the sender cannot use the store; it will try again");
                (pause * 2).clamp(limits::SWEEP, limits::SWEEP_PAUSE)
            }
        };
    }
}

/// Takes what can be taken. When more will be due; none when nothing more can be done before something else happens.
async fn once(app: &Arc<App>, reap: bool) -> StoreResult<Option<Timestamp>> {
    if reap {
        self::reap(app).await?;
    }
    let free = app.sender.permits.available_permits();
    if free == 0 {
        return Ok(None);
    }
    // Asked without writing, as most looks find nothing.
    let (due, now) = (app.store.message_due(app.clock.now()).await?, app.clock.now());
    if due.is_none_or(|due| due > now) {
        return Ok(due);
    }
    let leased_until = now.after(limits::SEND_LEASE);
    let claim = Claim { now, leased_until, most: free, paces: app.settings.paces };
    let claimed = app.store.message_claim(claim).await?;
    if claimed.is_empty() {
        // Another server was quicker, or the pace allows nothing yet. What is due all the same has expired.
        let due = app.store.message_due(now).await?;
        if due.is_some_and(|due| due <= now) {
            self::reap(app).await?;
            return Ok(None);
        }
        return Ok(due);
    }
    for claimed in claimed {
        let permit = app.sender.permits.clone().try_acquire_owned();
        let permit = permit.expect("only this task takes permits, and no more is claimed than are free");
        app.tasks.spawn(send(app.clone(), claimed, leased_until, permit));
    }
    // Others may be due by the time of the next look.
    Ok(Some(now))
}

async fn reap(app: &App) -> StoreResult<()> {
    let changed = app.store.message_reap(app.clock.now(), Reap::RunOut).await?;
    if changed > 0 {
        tracing::warn!(changed, "settled messages whose time had run out");
    }
    Ok(())
}

async fn send(app: Arc<App>, claimed: Claimed, leased_until: Timestamp, permit: OwnedSemaphorePermit) {
    let started_at = app.clock.now();
    // A machine that slept in between: the lane may be another's before Slack answers.
    let is_late = started_at.after(limits::SLACK_TIMEOUT) > leased_until;
    let result = match is_late {
        true => {
            before_a_look(&claimed, SendResult::NotReached("the gateway was held up".to_owned()), started_at)
        }
        false => {
            let span = debug_span!("send", message = %claimed.id, attempt = claimed.attempt);
            perform(&app, &claimed, leased_until).instrument(span).await
        }
    };
    drop(permit);
    // Somebody else may be waiting for the place.
    app.sender.wake();
    match &result {
        SendResult::Refused(error) => routing::fell(&app, &claimed, error).await,
        SendResult::Sent(Some(posted)) => routing::arrived(&app, &claimed, &posted.channel).await,
        _ => {}
    }
    let ended_at = app.clock.now();
    let attempt = SendAttempt {
        number: claimed.attempt,
        started_at,
        duration: Some(ended_at.since(started_at)),
        outcome: result.outcome(),
        error: result.error(),
    };
    metrics::sent(attempt.outcome);
    let (tenant, attempted) = (&claimed.tenant, claimed.attempt);
    match (&attempt.error, &result) {
        (None, _) => {}
        (Some(error), SendResult::TooSoon { .. } | SendResult::LookedUp { .. }) => {
            tracing::debug!(message = %claimed.id, %tenant, attempt = attempted, error, "a message waits");
        }
        (Some(error), _) => {
            tracing::warn!(message = %claimed.id, %tenant, attempt = attempted, error, "a message was not sent");
        }
    }
    let times = (started_at, ended_at);
    let rng = app.rng.as_ref();
    let next = sending::after(&result, claimed.operation, claimed.attempt, times, claimed.expires_at, rng);
    let settlement = Settlement {
        attempt,
        ended_at,
        next,
        limited_until: sending::limited_for(&result).map(|wait| ended_at.after(wait)),
        pace: app.settings.paces.channel,
        posted: match result {
            SendResult::Sent(posted) => posted,
            SendResult::Found(posted) => Some(posted),
            _ => None,
        },
    };
    settle(&app, &claimed, settlement).await;
    // And for the lane.
    app.sender.wake();
}

/// Tries for as long as the lease holds: forgotten, a message that was sent would be *uncertain*.
async fn settle(app: &App, claimed: &Claimed, settlement: Settlement) {
    let mut pause = limits::SWEEP;
    let give_up = settlement.attempt.started_at.after(limits::SEND_LEASE);
    loop {
        match app.store.message_settle(claimed, settlement.clone()).await {
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
