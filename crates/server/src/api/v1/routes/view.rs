//! How a route is shown.

use std::collections::HashMap;

use serde::Serialize;
use tautline_core::channel::Channel;
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

/// Routes of one workspace, with what is known of their channels.
pub(super) async fn bodies(
    app: &App,
    tenant: &TenantId,
    installation: &Installation,
    routes: Vec<Route>,
) -> StoreResult<Vec<RouteBody>> {
    let ids = routes.iter().flat_map(|route| route.channels.clone()).collect::<Vec<_>>();
    let known = app.store.channels_by_id(tenant, installation.id, &ids).await?;
    let known = known.into_iter().map(|channel| (channel.id.clone(), channel)).collect();
    Ok(routes.into_iter().map(|route| body(route, &known)).collect())
}

/// One route, likewise.
pub(super) async fn shown(
    app: &App,
    tenant: &TenantId,
    installation: &Installation,
    route: Route,
) -> StoreResult<RouteBody> {
    let mut one = bodies(app, tenant, installation, vec![route]).await?;
    Ok(one.remove(0))
}

fn body(route: Route, known: &HashMap<String, Channel>) -> RouteBody {
    let channel = |id: String| {
        let known = known.get(&id);
        let error = known.and_then(|known| known.dead.clone());
        RouteChannel {
            name: known.map(|known| known.name.clone()).filter(|name| !name.is_empty()),
            fix: error.as_deref().and_then(remedy),
            error,
            id,
        }
    };
    RouteBody {
        name: route.name,
        team_id: route.place,
        enabled: route.is_enabled,
        channels: route.channels.into_iter().map(channel).collect(),
        updated_at: route.updated_at.to_string(),
    }
}
