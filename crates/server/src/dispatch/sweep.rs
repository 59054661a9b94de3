//! The sweep: finds what is due, and takes back what the dead left.

use std::collections::HashMap;
use std::sync::Arc;

use tautline_core::delivery::{Leased, Places, Reap};
use tautline_core::{StoreResult, limits};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Slot, Waiting, attempt, gave_up};
use crate::app::App;
use crate::error::chain;

/// Sweeps until told to stop.
pub(crate) async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let (mut reap_at, mut pause) = (Instant::now() + limits::REAP, limits::SWEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = app.dispatcher.wake.notified(), if pause == limits::SWEEP => {}
        }
        let mut swept = Ok(());
        if Instant::now() >= reap_at {
            reap_at = Instant::now() + limits::REAP;
            swept = reap(&app).await.map(|is_more| {
                if is_more {
                    reap_at = Instant::now();
                }
            });
        }
        // Whatever became of that: what is due does not wait for it.
        swept = once(&app).await.and(swept);
        pause = match swept {
            Ok(()) => limits::SWEEP,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the sweep cannot use the store; it will try again");
                (pause * 2).min(limits::SWEEP_PAUSE)
            }
        };
    }
}

/// Takes back what the dead left; whether there is more of it.
async fn reap(app: &Arc<App>) -> StoreResult<bool> {
    // Another server's API may have made one, or removed one; and how they do may have changed with nobody noticing.
    if let Err(error) = app.refresh_endpoints().await {
        tracing::error!(error = %chain(&error), "the endpoints cannot be read; going by the last");
    }
    app.metrics.tidy();
    let now = app.clock.now();
    app.dispatcher.tidy(now);
    let reaped = app.store.delivery_reap(now, Reap::RunOut).await?;
    if reaped.changed > 0 {
        tracing::warn!(changed = reaped.changed, "took back deliveries whose time had run out");
    }
    for endpoint in reaped.expired {
        gave_up(app, endpoint, "what waited for it grew too old").await;
    }
    Ok(reaped.is_more)
}

async fn once(app: &Arc<App>) -> StoreResult<()> {
    let now = app.clock.now();
    // Asked without writing, as most sweeps find nothing.
    let asked = app.dispatcher.places(now);
    let due = app.store.delivery_due(now, &asked).await?;
    let asked = asked.into_iter().map(|places| (places.endpoint, places)).collect::<HashMap<_, _>>();
    let mut slots = due
        .into_iter()
        .map(|due| (due.endpoint, app.dispatcher.slots_for(asked[&due.endpoint], due, now)))
        .filter(|(_, slots)| !(slots.first.is_empty() && slots.again.is_empty()))
        .collect::<HashMap<_, _>>();
    if slots.is_empty() {
        return Ok(());
    }
    let places = slots.iter().map(|(endpoint, slots)| Places {
        endpoint: *endpoint,
        first: slots.first.len(),
        again: slots.again.len(),
    });
    let places = places.collect::<Vec<_>>();
    for leased in app.store.delivery_lease(now, now.after(limits::LEASE), &places).await? {
        let slots = slots.get_mut(&leased.endpoint).expect("nothing is leased for want of a slot");
        let slots = if leased.attempt == 1 { &mut slots.first } else { &mut slots.again };
        let slot = slots.pop().expect("no more is leased than slots are free");
        let waiting = app.dispatcher.take_held(leased.id);
        app.tasks.spawn(begin(app.clone(), leased, slot, waiting));
    }
    Ok(())
}

/// What Slack waits for is run only if Slack still waited when it was durable; otherwise the person saw an error, and
/// whoever stored it ends the delivery.
async fn begin(app: Arc<App>, leased: Leased, slot: Slot, waiting: Option<Waiting>) {
    let held = match waiting {
        Some(Waiting { held, confirmed }) => match confirmed.await {
            Ok(()) => Some(held),
            Err(_) => return,
        },
        None => None,
    };
    attempt(app, leased, slot, held).await;
}
