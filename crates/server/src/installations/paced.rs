//! Calls beside the lanes keep Slack's pace as well: each takes a turn in its method's window, and what Slack says of patience is
//! kept there, for every server.

use std::time::Duration;

use tautline_core::outbox::{Passing, Turn};
use tautline_core::pace;

use super::acting::{Acting, ActingError};
use crate::app::App;
use crate::error::chain;

/// Waits for the turn of a call, if that comes in time. `None`: the method is not counted.
pub(super) async fn turn(
    acting: &Acting,
    method: &str,
    patience: Duration,
) -> Result<Option<Passing>, ActingError> {
    let Some(method) = pace::counted(method) else { return Ok(None) };
    let (app, installation) = (&acting.app, acting.installation);
    let call = Passing { installation, method, channel: None, paces: app.settings.paces };
    let now = app.clock.now();
    match app.store.turn_take(&call, now, now.after(patience)).await? {
        Turn::At(at) => tokio::time::sleep(at.since(now)).await,
        Turn::Later(at) => {
            return Err(ActingError::TooSoon { at, why: format!("Slack's pace for {method} is used up") });
        }
    }
    Ok(Some(call))
}

/// Keeps that Slack asked for patience, and says so.
pub(crate) async fn limited(app: &App, call: &Passing, retry_after: Option<Duration>) -> ActingError {
    let (now, wait) = (app.clock.now(), pace::rest(retry_after));
    let at = now.after(wait);
    if let Err(error) = app.store.turn_limited(call, at, now).await {
        tracing::warn!(error = %chain(&error), "that Slack asked for patience could not be kept");
    }
    ActingError::TooSoon { at, why: format!("Slack asked to wait {} s with {}", wait.as_secs(), call.method) }
}
