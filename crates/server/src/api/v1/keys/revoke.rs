//! `DELETE /api/v1/keys/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::{KeyId, TenantId};

use crate::app::App;
use crate::audit;
use crate::auth::Anyone;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};

/// Revoke an API key. From here on it is unknown.
///
/// A tenant's key revokes its own; a platform key any. TAUTLINE_ADMIN_KEY ends where the server is started without it.
#[utoipa::path(
    delete,
    path = "/api/v1/keys/{id}",
    tag = "keys",
    params(("id" = String, Path, description = "key_…")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 403, description = "Not with this key", body = ErrorBody),
        (status = 404, description = "There is no such key", body = ErrorBody),
    ),
)]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let caller = caller.may(Scope::Manage)?;
    let actor = caller.name().to_owned();
    let unknown = || {
        ApiError::not_found("key_unknown", format!("there is no key {id:?}"))
            .fix("GET /api/v1/keys lists those that were not revoked")
    };
    let key: KeyId = id.parse().map_err(|_| unknown())?;
    let tenant = caller.tenant_or_all(&app).await?;
    let owner = app.store.key_revoke(tenant.as_ref(), key, app.clock.now()).await?.ok_or_else(unknown)?;
    audit::note(&app, &owner.unwrap_or_else(TenantId::home), actor, AuditAction::KeyRevoked, key).await;
    Ok(StatusCode::NO_CONTENT)
}
