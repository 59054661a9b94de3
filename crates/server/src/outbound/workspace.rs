//! Which of a tenant's workspaces is meant.

use tautline_core::installation::{Installation, Only};
use tautline_core::{PageRequest, StoreResult, TenantId, limits};

use crate::app::App;

/// The workspace that is meant, or why it cannot be told.
pub(crate) enum Meant {
    This(Box<Installation>),
    /// The tenant has connected none.
    None,
    /// The tenant has several, and none was named.
    Several,
    /// The one that was named is not the tenant's.
    Unknown,
}

/// The org-wide installation that a workspace of the tenant's belongs to: by what Slack told it was granted, else the only one
/// there is.
async fn org_of(app: &App, tenant: &TenantId, place: &str) -> StoreResult<Option<Installation>> {
    let page = PageRequest { limit: limits::PAGE_MAX, after: None };
    let mut orgs = app.store.installations(tenant, page).await?.items;
    orgs.retain(|each| each.facts.is_enterprise_install);
    let granted = orgs.iter().position(|org| org.granted_teams.iter().any(|team| team.as_str() == place));
    Ok(match granted {
        Some(at) => Some(orgs.swap_remove(at)),
        None if orgs.len() == 1 && place.starts_with('T') => orgs.pop(),
        None => None,
    })
}

/// The tenant's workspace at a place (`T…` or `E…`); without one, the only one there is.
pub(crate) async fn meant(app: &App, tenant: &TenantId, place: Option<&str>) -> StoreResult<Meant> {
    if let Some(place) = place {
        let found = match app.store.installation_at(tenant, place).await? {
            Some(found) => Some(found),
            None => org_of(app, tenant, place).await?,
        };
        return Ok(found.map_or(Meant::Unknown, |found| Meant::This(Box::new(found))));
    }
    Ok(match app.store.installation_only(tenant).await? {
        Only::This(installation) => Meant::This(installation),
        Only::None => Meant::None,
        Only::Several => Meant::Several,
    })
}
