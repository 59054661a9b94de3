//! What is older than it is kept for is deleted, in small parts beside the traffic.

use std::sync::Arc;

use tautline_core::keeping::Forgotten;
use tautline_core::limits;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::chain;

/// Forgets until told to stop.
pub(crate) async fn forget(app: Arc<App>, stop: CancellationToken) {
    let (mut total, (rest, between)) = (0, limits::FORGET_PAUSES);
    let mut pause = between;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match app.store.forget(app.clock.now()).await {
            Ok(Forgotten { rows, more }) => {
                total += rows;
                if !more && total > 0 {
                    tracing::info!(rows = total, "deleted what was older than it is kept for");
                    total = 0;
                }
                if more { between } else { rest }
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "what is old could not be deleted; it will be tried again");
                rest
            }
        };
    }
}
