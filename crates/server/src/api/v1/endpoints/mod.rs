//! `endpoints`.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod get;
pub(crate) mod list;
mod read;
pub(crate) mod remove;
pub(crate) mod rotate_secret;
pub(crate) mod test;
mod view;

use crate::app::App;
use crate::error::chain;

/// After a change, which stands whatever becomes of this.
async fn refresh(app: &App) {
    if let Err(error) = app.refresh_endpoints().await {
        tracing::error!(error = %chain(&error), "a change of endpoints is in force only from the next one or a start on");
    }
}
