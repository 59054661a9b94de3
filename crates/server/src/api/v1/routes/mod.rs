//! `routes`.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod put;
pub(crate) mod remove;
pub(crate) mod test;
pub(crate) mod view;

use serde::Deserialize;
use tautline_core::TenantId;
use tautline_core::installation::Installation;
use tautline_core::operation::Operation;
use tautline_core::route::{Route, is_name};
use utoipa::IntoParams;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::outbound::routing::place;
use crate::outbound::workspace::installation;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Where {
    /// Which workspace, when the tenant has several: `T…`, or `E…` for an org.
    team_id: Option<String>,
}

/// The workspace whose routes are meant.
async fn of(app: &App, tenant: &TenantId, at: &Where) -> ApiResult<Installation> {
    installation(app, tenant, at.team_id.as_deref(), Operation::Post).await
}

fn name(name: String) -> ApiResult<String> {
    if is_name(&name) {
        return Ok(name);
    }
    Err(ApiError::bad_request("invalid_route", format!("{name:?} is no name of a route"))
        .fix("give words of a-z 0-9 _ - with dots between them, such as billing.invoice_paid, billing.* or default"))
}

async fn known(app: &App, tenant: &TenantId, found: &Installation, name: &str) -> ApiResult<Route> {
    let routes = app.store.routes(tenant, &place(found)).await?;
    routes.into_iter().find(|route| route.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found("route_unknown", format!("there is no route {name:?}"))
        .fix("GET /api/v1/integrations/slack/routes lists them")
}
