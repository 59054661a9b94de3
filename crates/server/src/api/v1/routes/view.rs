//! How a route is shown.

use serde::Serialize;
use tautline_core::installation::Installation;
use tautline_core::route::Route;
use tautline_core::{StoreResult, TenantId};
use tautline_slack::errors::remedy;
use utoipa::ToSchema;

use crate::app::App;

#[derive(Serialize, ToSchema)]
pub(crate) struct RouteBody {
    /// A name, a beginning with `.*`, or `default`.
    #[schema(example = "billing.*")]
    name: String,
    /// `T…`, or `E…` for an org.
    team_id: String,
    enabled: bool,
    channels: Vec<RouteChannel>,
    /// RFC 3339.
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RouteChannel {
    #[schema(example = "C0123456789")]
    id: String,
    /// Without `#`; null until the channel was seen.
    name: Option<String>,
    /// Slack's word why nothing can be posted there. Meanwhile the default route has it.
    error: Option<String>,
    /// What to do about it.
    fix: Option<&'static str>,
}

pub(super) async fn body(
    app: &App,
    tenant: &TenantId,
    installation: &Installation,
    route: Route,
) -> StoreResult<RouteBody> {
    let mut channels = Vec::new();
    for id in route.channels {
        let known = app.store.channel(tenant, installation.id, &id).await?;
        let error = known.as_ref().and_then(|known| known.dead.clone());
        channels.push(RouteChannel {
            name: known.map(|known| known.name).filter(|name| !name.is_empty()),
            fix: error.as_deref().and_then(remedy),
            error,
            id,
        });
    }
    Ok(RouteBody {
        name: route.name,
        team_id: route.place,
        enabled: route.is_enabled,
        channels,
        updated_at: route.updated_at.to_string(),
    })
}
