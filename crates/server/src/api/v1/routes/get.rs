//! `GET …/routes/{name}`: one route.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tautline_core::access::Scope;

use super::Where;
use super::view::{RouteBody, shown};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiPath, ApiQuery, ApiResult, ErrorBody};

/// One route, and how its channels do.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/routes/{name}",
    tag = "routes",
    params(("name" = String, Path, description = "billing.invoice_paid, billing.* or default"), Where),
    responses(
        (status = 200, description = "The route", body = RouteBody),
        (status = 404, description = "No such route of this workspace", body = ErrorBody),
        (status = 409, description = "No workspace is connected", body = ErrorBody),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(name): ApiPath<String>,
    ApiQuery(at): ApiQuery<Where>,
) -> ApiResult<Json<RouteBody>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let found = super::of(&app, &tenant, &at).await?;
    let route = super::known(&app, &tenant, &found, &name).await?;
    Ok(Json(shown(&app, &tenant, &found, route).await?))
}
