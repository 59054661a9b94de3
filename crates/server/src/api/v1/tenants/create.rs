//! `POST /api/v1/tenants`: make a tenant known.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::idempotency::Once;
use tautline_core::{Tenant, TenantId, TenantRecorded, limits};
use utoipa::ToSchema;

use crate::api::v1::creating::{Creating, conflict};
use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiError, ApiResult, ErrorBody};

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
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body make nothing twice")),
    request_body = NewTenant,
    responses(
        (status = 201, description = "Known now", body = TenantBody),
        (status = 200, description = "Known before; nothing was changed", body = TenantBody),
        (status = 409, description = "The Idempotency-Key was used before", body = ErrorBody),
        (status = 400, description = "Not a tenant id", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    platform: Platform,
    creating: Creating<NewTenant>,
) -> ApiResult<(StatusCode, Json<TenantBody>)> {
    let caller = platform.may(Scope::Manage)?;
    let (once, new) = (creating.key_of(&caller, "", app.clock.now()), creating.body);
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
    let tenant = Tenant { id: id.clone(), name: new.name, created_at: app.clock.now() };
    let (status, tenant) = match app.store.tenant_record(tenant, once).await? {
        Once::Done(TenantRecorded::Created(tenant)) => (StatusCode::CREATED, tenant),
        Once::Done(TenantRecorded::Existing(tenant)) => (StatusCode::OK, tenant),
        // The same answer as then, as far as it can be told: the tenant stands.
        Once::Before => match app.store.tenant(&id).await? {
            Some(tenant) => (StatusCode::CREATED, tenant),
            None => return Err(conflict()),
        },
        Once::Conflict => return Err(conflict()),
    };
    let Tenant { id, name, created_at } = tenant;
    Ok((status, Json(TenantBody { id: id.to_string(), name, created_at: created_at.to_string() })))
}
