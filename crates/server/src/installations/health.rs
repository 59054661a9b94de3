//! How installations do, for whoever asks: the API, the dashboard, alerts.

use tautline_core::installation::{Facts, Installation};
use tautline_core::standing::{Problem, Standing, problems};
use tautline_core::{StoreResult, TenantId};
use url::Url;

use crate::app::App;

/// An installation with how it does.
pub(crate) struct Looked {
    pub(crate) installation: Installation,
    pub(crate) standing: Standing,
    /// The worst first.
    pub(crate) problems: Vec<Problem>,
}

/// Looks at a tenant's installations.
pub(crate) async fn look(
    app: &App,
    tenant: &TenantId,
    installations: Vec<Installation>,
) -> StoreResult<Vec<Looked>> {
    let ids = installations.iter().map(|installation| installation.id).collect::<Vec<_>>();
    let standings = app.store.installation_standings(tenant, &ids).await?;
    let now = app.clock.now();
    let share = app.event_share().share(now);
    let looked = installations.into_iter().zip(standings).map(|(installation, standing)| {
        let problems = problems(&installation, &standing, &app.settings.bot_scopes, share, now);
        Looked { installation, standing, problems }
    });
    Ok(looked.collect())
}

/// Where a signed-in person connects it again, and is led back to the list of workspaces.
pub(crate) fn reconnect_url(app: &App, facts: &Facts) -> Url {
    let mut url = app.settings.public("/api/v1/integrations/slack/oauth/start");
    url.query_pairs_mut().append_pair("return_to", "/channels/slack?connected=yes");
    if let Some(team) = &facts.team {
        url.query_pairs_mut().append_pair("team", team.as_str());
    }
    url
}

/// What people call a workspace or org.
pub(crate) fn name(installation: &Installation) -> String {
    let facts = &installation.facts;
    let place = facts.key().map(|key| key.to_string()).unwrap_or_default();
    let named = facts.team_name.clone().or_else(|| facts.enterprise_name.clone());
    named.unwrap_or_else(|| place.split('/').next_back().unwrap_or_default().to_owned())
}
