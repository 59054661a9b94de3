//! `DELETE /api/v1/endpoints/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tautline_core::TenantId;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;

use super::{read, refresh};
use crate::app::App;
use crate::audit;
use crate::auth::Platform;
use crate::error::{ApiPath, ApiResult, ErrorBody};

/// Remove an endpoint. What waits for it is not delivered any more.
#[utoipa::path(
    delete,
    path = "/api/v1/endpoints/{id}",
    tag = "endpoints",
    params(("id" = String, Path, description = "end_…")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such endpoint", body = ErrorBody),
        (status = 409, description = "The environment declares it", body = ErrorBody),
    ),
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let caller = platform.may(Scope::Manage)?;
    let endpoint = read::made(&app, &id).await?.endpoint.id;
    if !app.store.endpoint_remove(endpoint).await? {
        return Err(read::unknown(&id)); // somebody else was faster
    }
    refresh(&app).await;
    audit::note(&app, &TenantId::home(), caller.name, AuditAction::EndpointRemoved, endpoint).await;
    Ok(StatusCode::NO_CONTENT)
}
