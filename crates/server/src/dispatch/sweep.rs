//! The sweep: finds what is due, and takes back what the dead left.

use std::collections::HashMap;
use std::sync::Arc;

use tautline_core::delivery::{Leased, Reap};
use tautline_core::{StoreResult, limits};
use tokio_util::sync::CancellationToken;

use super::{Slot, Waiting, attempt};
use crate::app::App;
use crate::error::chain;

/// Sweeps until told to stop.
pub(crate) async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let (mut count, mut pause) = (0_u32, limits::SWEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = app.dispatcher.wake.notified(), if pause == limits::SWEEP => {}
        }
        count = count.wrapping_add(1);
        pause = match once(&app, count.is_multiple_of(limits::SWEEPS_PER_REAP)).await {
            Ok(()) => limits::SWEEP,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the sweep cannot use the store; it will try again");
                (pause * 2).min(limits::SWEEP_PAUSE)
            }
        };
    }
}

async fn once(app: &Arc<App>, reap: bool) -> StoreResult<()> {
    if reap {
        if app.store.is_shared() {
            // Another server's API may have made one, or removed one.
            if let Err(error) = app.refresh_endpoints().await {
                tracing::error!(error = %chain(&error), "endpoints of other servers cannot be read; going by the last");
            }
        }
        app.metrics.tidy();
        let changed = app.store.delivery_reap(app.clock.now(), Reap::RunOut).await?;
        if changed > 0 {
            tracing::warn!(changed, "took back deliveries whose time had run out");
        }
    }
    let now = app.clock.now();
    // Asked without writing, as most sweeps find nothing.
    let due = app.store.delivery_due(now, &app.dispatcher.free()).await?;
    let taken =
        due.into_iter().map(|(endpoint, waiting)| (endpoint, app.dispatcher.slots_for(endpoint, waiting)));
    let mut slots = taken.filter(|(_, slots)| !slots.is_empty()).collect::<HashMap<_, _>>();
    if slots.is_empty() {
        return Ok(());
    }
    let free = slots.iter().map(|(endpoint, slots)| (*endpoint, slots.len())).collect::<Vec<_>>();
    for leased in app.store.delivery_lease(now, now.after(limits::LEASE), &free).await? {
        let slot = slots.get_mut(&leased.endpoint).and_then(Vec::pop);
        let slot = slot.expect("no more is leased than slots are free");
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
