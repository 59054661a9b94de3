//! `DELETE /api/v1/tenants/{id}`: erase a tenant with everything of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::access::Scope;
use tautline_core::keeping;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Platform, known_tenant};
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};

/// What was erased.
#[derive(Serialize, ToSchema)]
pub(crate) struct Receipt {
    #[schema(example = "acme")]
    tenant: String,
    /// RFC 3339.
    erased_at: String,
    /// Rows by table; what belongs to a row, such as a request's deliveries, went with it.
    erased: BTreeMap<String, u64>,
}

/// Erase a tenant with everything of it.
///
/// Credentials, installations, keys and sessions go first, so that nothing new comes in. Slack is not told: disconnect
/// first where the app shall leave the workspace.
#[utoipa::path(
    delete,
    path = "/api/v1/tenants/{id}",
    tag = "tenants",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "Nothing is left; the receipt", body = Receipt),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such tenant", body = ErrorBody),
        (status = 409, description = "The company itself cannot be erased", body = ErrorBody),
    ),
)]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<Receipt>> {
    let caller = platform.may(Scope::Manage)?;
    let tenant = known_tenant(&app, &id).await?;
    if tenant.is_home() {
        let error = ApiError::new(StatusCode::CONFLICT, "tenant_reserved", "\"home\" is the company itself");
        return Err(error.fix("unset SLACK_BOT_TOKEN, and delete the database if nothing shall be left"));
    }
    let (erasing, of, at) = (app.clone(), tenant.clone(), app.clock.now());
    let erasing = async move { Ok(keeping::erase(erasing.store.as_ref(), &of, caller.name, at).await?) };
    let erased = app.to_the_end(erasing).await?;
    tracing::info!(%tenant, "erased");
    Ok(Json(Receipt { tenant: tenant.to_string(), erased_at: at.to_string(), erased: erased.rows }))
}
