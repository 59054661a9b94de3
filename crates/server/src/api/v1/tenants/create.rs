//! `POST /api/v1/tenants`: make a tenant known.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::{Tenant, TenantId, TenantRecorded, limits};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiError, ApiJson, ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// 1 to 48 of `A-Z a-z 0-9 _ -`; never changes.
    #[schema(example = "acme")]
    id: String,
    /// What people call it.
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TenantBody {
    #[schema(example = "acme")]
    id: String,
    name: Option<String>,
    /// RFC 3339.
    created_at: String,
}

/// Make a tenant known.
#[utoipa::path(
    post,
    path = "/api/v1/tenants",
    tag = "tenants",
    request_body = NewTenant,
    responses(
        (status = 201, description = "Known now", body = TenantBody),
        (status = 200, description = "Known before; nothing was changed", body = TenantBody),
        (status = 400, description = "Not a tenant id", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiJson(new): ApiJson<NewTenant>,
) -> ApiResult<(StatusCode, Json<TenantBody>)> {
    platform.may(Scope::Manage)?;
    let id: TenantId = new.id.parse().map_err(|error: tautline_core::TenantIdError| {
        ApiError::bad_request("invalid_tenant_id", error.to_string())
            .fix("choose an id that stays the same for as long as the customer does")
    })?;
    if id.is_home() {
        return Err(ApiError::new(StatusCode::CONFLICT, "tenant_reserved", "\"home\" is the company itself")
            .fix("choose another id"));
    }
    if new.name.as_ref().is_some_and(|name| name.chars().count() > limits::TENANT_NAME_CHARS) {
        let limit = limits::TENANT_NAME_CHARS;
        return Err(ApiError::bad_request("invalid_name", format!("a name has at most {limit} characters"))
            .fix("shorten it"));
    }
    let tenant = Tenant { id, name: new.name, created_at: app.clock.now() };
    let (status, tenant) = match app.store.tenant_record(tenant).await? {
        TenantRecorded::Created(tenant) => (StatusCode::CREATED, tenant),
        TenantRecorded::Existing(tenant) => (StatusCode::OK, tenant),
    };
    let Tenant { id, name, created_at } = tenant;
    Ok((status, Json(TenantBody { id: id.to_string(), name, created_at: created_at.to_string() })))
}
