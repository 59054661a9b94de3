//! `endpoints`.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod remove;
mod view;

use crate::app::App;
use crate::error::chain;

/// After a change, which stands whatever becomes of this.
async fn refresh(app: &App) {
    if let Err(error) = app.refresh_endpoints().await {
        tracing::error!(error = %chain(&error), "a change of endpoints is in force only from the next one or a start on");
    }
}
