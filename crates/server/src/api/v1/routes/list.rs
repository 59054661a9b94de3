//! `GET …/routes`: where a workspace's notifications go.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use utoipa::ToSchema;

use super::Where;
use super::view::{RouteBody, bodies};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiQuery, ApiResult, ErrorBody};
use crate::outbound::routing::place;

#[derive(Serialize, ToSchema)]
pub(crate) struct RoutesBody {
    routes: Vec<RouteBody>,
}

/// List a workspace's routes, by name.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/routes",
    tag = "routes",
    params(Where),
    responses(
        (status = 200, description = "All of them", body = RoutesBody),
        (status = 404, description = "No such workspace of this tenant", body = ErrorBody),
        (status = 409, description = "No workspace is connected", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiQuery(at): ApiQuery<Where>,
) -> ApiResult<Json<RoutesBody>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let found = super::of(&app, &tenant, &at).await?;
    let routes = app.store.routes(&tenant, &place(&found)).await?;
    Ok(Json(RoutesBody { routes: bodies(&app, &tenant, &found, routes).await? }))
}
