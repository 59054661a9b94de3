//! How installations do, for whoever asks: the API, the dashboard, alerts.

use tautline_core::installation::Installation;
use tautline_core::standing::{Problem, Standing, problems};
use tautline_core::{StoreResult, TenantId};

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

/// What people call a workspace or org.
pub(crate) fn name(installation: &Installation) -> String {
    let facts = &installation.facts;
    let place = facts.key().map(|key| key.to_string()).unwrap_or_default();
    let named = facts.team_name.clone().or_else(|| facts.enterprise_name.clone());
    named.unwrap_or_else(|| place.split('/').next_back().unwrap_or_default().to_owned())
}
