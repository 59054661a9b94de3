//! The sweep: finds what is due, and takes back what the dead left.

use std::sync::Arc;
use std::time::Duration;

use tautline_core::delivery::Reap;
use tautline_core::{StoreResult, limits};
use tokio_util::sync::CancellationToken;

use super::attempt;
use crate::app::App;
use crate::error::chain;

/// How many sweeps pass between two looks for what the dead left.
const SWEEPS_PER_REAP: u32 = 25;
/// The longest pause while the store is unavailable.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Sweeps until told to stop.
pub(crate) async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let (mut count, mut pause) = (0_u32, limits::SWEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        count = count.wrapping_add(1);
        pause = match once(&app, count.is_multiple_of(SWEEPS_PER_REAP)).await {
            Ok(()) => limits::SWEEP,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the sweep cannot use the store; it will try again");
                (pause * 2).min(PAUSE_MAX)
            }
        };
    }
}

async fn once(app: &Arc<App>, reap: bool) -> StoreResult<()> {
    if reap {
        let changed = app.store.delivery_reap(app.clock.now(), Reap::RunOut).await?;
        if changed > 0 {
            tracing::warn!(changed, "took back deliveries whose time had run out");
        }
    }
    let mut slots = app.dispatcher.free_slots();
    let free = slots.iter().map(|(endpoint, slots)| (*endpoint, slots.len())).collect::<Vec<_>>();
    if free.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    for leased in app.store.delivery_lease(now, now.after(limits::LEASE), &free).await? {
        let slot = slots.get_mut(&leased.endpoint).and_then(Vec::pop);
        let slot = slot.expect("no more is leased than slots are free");
        let held = app.dispatcher.take_held(leased.id);
        app.tasks.spawn(attempt(app.clone(), leased, slot, held));
    }
    Ok(())
}
