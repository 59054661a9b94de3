//! `PUT …/routes/{name}`: say where something goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::limits;
use tautline_core::route::Route;
use utoipa::ToSchema;

use super::Where;
use super::view::{RouteBody, shown};
use crate::api::v1::creating::Creating;
use crate::app::App;
use crate::audit;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiQuery, ApiResult, ErrorBody};
use crate::outbound::routing::{place, wanted};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoute {
    /// From 1 to 20: ids, or `#name` of channels that are known.
    #[schema(example = json!(["C0123456789"]))]
    channels: Vec<String>,
    /// Whether anything goes there; so unless said otherwise.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// Say where something goes.
///
/// What it says replaces the route of that name. Channels that were marked as taking nothing are tried again.
#[utoipa::path(
    put,
    path = "/api/v1/integrations/slack/routes/{name}",
    tag = "routes",
    params(("name" = String, Path, description = "billing.invoice_paid, billing.* or default"), Where),
    request_body = NewRoute,
    responses(
        (status = 200, description = "The route as it is now", body = RouteBody),
        (status = 400, description = "No name, or no channels", body = ErrorBody),
        (status = 404, description = "No such workspace of this tenant", body = ErrorBody),
        (status = 409, description = "No workspace is connected, or it has 500 routes", body = ErrorBody),
    ),
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(name): ApiPath<String>,
    ApiQuery(at): ApiQuery<Where>,
    creating: Creating<NewRoute>,
) -> ApiResult<Json<RouteBody>> {
    let (caller, tenant) = caller.may(Scope::Manage)?;
    let name = super::name(name)?;
    let found = super::of(&app, &tenant, &at).await?;
    let new = creating.body;
    let route = Route {
        place: place(&found),
        name,
        channels: wanted(&app, &tenant, found.id, new.channels).await?,
        is_enabled: new.enabled,
        updated_at: app.clock.now(),
    };
    if !app.store.route_put(&tenant, &route).await? {
        let error = format!("this workspace has {} routes already", limits::ROUTES);
        return Err(ApiError::new(StatusCode::CONFLICT, "too_many_routes", error)
            .fix("remove some; one with .* leads for many"));
    }
    for channel in &route.channels {
        app.store.channel_dead(&tenant, found.id, channel, None).await?;
    }
    let subject = format!("{} {}", route.place, route.name);
    audit::note(&app, &tenant, caller.name, AuditAction::RouteChanged, subject).await;
    Ok(Json(shown(&app, &tenant, &found, route).await?))
}
