//! `DELETE …/routes/{name}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;

use super::Where;
use crate::app::App;
use crate::audit;
use crate::auth::ForTenant;
use crate::error::{ApiPath, ApiQuery, ApiResult, ErrorBody};
use crate::outbound::routing::place;

/// Remove a route. What it led goes where a more general one leads.
#[utoipa::path(
    delete,
    path = "/api/v1/integrations/slack/routes/{name}",
    tag = "routes",
    params(("name" = String, Path, description = "billing.invoice_paid, billing.* or default"), Where),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "No such route of this workspace", body = ErrorBody),
        (status = 409, description = "No workspace is connected", body = ErrorBody),
    ),
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(name): ApiPath<String>,
    ApiQuery(at): ApiQuery<Where>,
) -> ApiResult<StatusCode> {
    let (caller, tenant) = caller.may(Scope::Manage)?;
    let found = super::of(&app, &tenant, &at).await?;
    let place = place(&found);
    if !app.store.route_remove(&tenant, &place, &name).await? {
        return Err(super::unknown(&name));
    }
    audit::note(&app, &tenant, caller.name, AuditAction::RouteRemoved, format!("{place} {name}")).await;
    Ok(StatusCode::NO_CONTENT)
}
