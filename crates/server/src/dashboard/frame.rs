//! What stands around every page of the dashboard: where one is, and as whom.

use tautline_core::StoreResult;

use crate::app::App;
use crate::auth::SignedIn;

/// The parts of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Channels,
    Inbox,
    Messages,
}

/// What stands around a page.
pub(super) struct Frame {
    pub(super) here: Section,
    /// The tenant, as people call it.
    pub(super) tenant: String,
    /// How the person came in; and the same with the id that the audit has.
    pub(super) came_by: String,
    pub(super) who: String,
    pub(super) form_token: String,
    /// The simulated Slack's address, when there is no real one behind this gateway.
    pub(super) simulated_slack: Option<String>,
}

impl Frame {
    pub(super) async fn of(app: &App, who: &SignedIn, here: Section) -> StoreResult<Self> {
        let tenant = app.store.tenant(who.tenant()).await?;
        let name = tenant.and_then(|tenant| tenant.name);
        Ok(Self {
            here,
            tenant: name.unwrap_or_else(|| who.tenant().to_string()),
            came_by: without_id(who.name()),
            who: who.name().to_owned(),
            form_token: who.form_token(app),
            simulated_slack: app.settings.is_simulated().then(|| app.settings.slack_url.to_string()),
        })
    }

    /// For a link's `aria-current`.
    pub(super) fn at(&self, section: Section) -> &'static str {
        if self.here == section { "page" } else { "false" }
    }
}

/// The id says nothing to people.
fn without_id(name: &str) -> String {
    let words = name.split(' ').filter(|word| !word.contains('_'));
    words.collect::<Vec<_>>().join(" ")
}
