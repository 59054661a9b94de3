//! Calls beside the lanes keep Slack's pace as well: each takes a turn in its method's window, and what Slack says of patience is
//! kept there, for every server.

use std::time::Duration;

use tautline_core::outbox::{Passing, Turn};
use tautline_core::{Timestamp, pace};

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
        Turn::Later(at) => return Err(ActingError::TooSoon { method, at }),
    }
    Ok(Some(call))
}

/// Keeps that Slack asked for patience, and until when.
pub(crate) async fn limited(app: &App, call: &Passing, retry_after: Option<Duration>) -> Timestamp {
    let now = app.clock.now();
    let until = now.after(pace::rest(retry_after));
    if let Err(error) = app.store.turn_limited(call, until, now).await {
        tracing::warn!(error = %chain(&error), "that Slack asked for patience could not be kept");
    }
    until
}
