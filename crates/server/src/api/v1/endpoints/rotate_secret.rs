//! `POST /api/v1/endpoints/{id}/rotate-secret`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::{TenantId, limits};
use utoipa::ToSchema;

use super::create::secret_for;
use super::{read, refresh};
use crate::app::App;
use crate::audit;
use crate::auth::Platform;
use crate::error::{ApiPath, ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct RotatedSecret {
    /// The new secret. Shown this once.
    secret: String,
    /// Until when the one before is good as well. RFC 3339.
    previous_secret_until: String,
}

/// Give an endpoint a new secret.
///
/// For a day both are good. In the form `standard` requests carry both signatures. In the form `slack`, where there is room for
/// one, an app that answers 401 is asked once more, signed with the secret before.
#[utoipa::path(
    post,
    path = "/api/v1/endpoints/{id}/rotate-secret",
    tag = "endpoints",
    params(("id" = String, Path, description = "end_…")),
    responses(
        (status = 200, description = "The new secret", body = RotatedSecret),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such endpoint", body = ErrorBody),
        (status = 409, description = "The environment declares it", body = ErrorBody),
    ),
)]
pub(crate) async fn rotate_secret(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<RotatedSecret>> {
    let caller = platform.may(Scope::Manage)?;
    let endpoint = read::made(&app, &id).await?.endpoint;
    let secret = secret_for(&endpoint.target, app.rng.as_ref());
    let until = app.clock.now().after(limits::SECRET_OVERLAP);
    if !app.store.endpoint_rotate(endpoint.id, secret.clone().into(), until).await? {
        return Err(read::unknown(&id)); // removed in the meantime
    }
    refresh(&app).await;
    audit::note(&app, &TenantId::home(), caller.name, AuditAction::EndpointRotated, endpoint.id).await;
    Ok(Json(RotatedSecret { secret, previous_secret_until: until.to_string() }))
}
