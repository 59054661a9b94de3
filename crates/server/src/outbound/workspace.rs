//! Which of a tenant's workspaces is meant, and whether it has granted what is to be done.

use http::StatusCode;
use tautline_core::installation::{Installation, Only};
use tautline_core::operation::Operation;
use tautline_core::{InstallationId, PageRequest, StoreResult, TenantId, limits};

use crate::app::App;
use crate::error::{ApiError, ApiResult};

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

/// The installation of a tenant's workspace, if it has granted what is to be done.
pub(crate) async fn installation(
    app: &App,
    tenant: &TenantId,
    place: Option<&str>,
    operation: Operation,
) -> ApiResult<Installation> {
    match meant(app, tenant, place).await? {
        Meant::This(installation) => {
            granted(&installation, operation.scope())?;
            Ok(*installation)
        }
        refused => Err(no_workspace(app, tenant, &refused)),
    }
}

/// The installation that a message is in, if it has granted what is to be done.
pub(super) async fn through(
    app: &App,
    tenant: &TenantId,
    id: InstallationId,
    operation: Operation,
) -> ApiResult<Installation> {
    let found = app.store.installation(tenant, id).await?.ok_or_else(|| {
        let error = "the workspace that the message is in is no longer connected";
        ApiError::new(StatusCode::CONFLICT, "not_connected", error)
            .fix("connect it: POST /api/v1/integrations/slack/connect-links makes a link")
    })?;
    granted(&found, operation.scope())?;
    Ok(found)
}

/// Slack would say `missing_scope`, but not to whoever sends this. (Of a token that was set by hand the scopes may not be known.)
pub(super) fn granted(installation: &Installation, scope: &str) -> ApiResult<()> {
    let scopes = &installation.facts.scopes;
    if scopes.is_empty() || scopes.iter().any(|granted| granted == scope) {
        return Ok(());
    }
    let error = format!("this workspace has not granted the scope {scope}");
    Err(ApiError::new(StatusCode::CONFLICT, "missing_scope", error)
        .fix(format!("add {scope} to SLACK_BOT_SCOPES, and have the workspace connected again")))
}

fn no_workspace(app: &App, tenant: &TenantId, meant: &Meant) -> ApiError {
    match meant {
        Meant::Several => ApiError::bad_request("team_required", "this tenant has several workspaces")
            .fix("name one as team_id; GET /api/v1/integrations/slack/installations lists them"),
        Meant::Unknown => ApiError::not_found("team_unknown", "this tenant has not connected that workspace")
            .fix("GET /api/v1/integrations/slack/installations lists those that are"),
        Meant::None if tenant.is_home() && app.settings.bot_token.is_some() => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_connected",
            "Slack has not told yet whose SLACK_BOT_TOKEN is",
        )
        .fix(
            "send it again in a moment; the gateway goes on asking, and its log says what stands in the way",
        ),
        _ => {
            ApiError::new(StatusCode::CONFLICT, "not_connected", "this tenant has connected no workspace yet")
                .fix("connect one: POST /api/v1/integrations/slack/connect-links makes a link")
        }
    }
}
