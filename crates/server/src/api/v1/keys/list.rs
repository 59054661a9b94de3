//! `GET /api/v1/keys`: the keys in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::KeyId;
use tautline_core::access::{ApiKey, Scope};
use utoipa::ToSchema;

use crate::api::v1::paging::{Paging, page};
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiQuery, ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct Keys {
    keys: Vec<KeyBody>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyBody {
    #[schema(value_type = String, example = "key_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: KeyId,
    /// Null for a platform key.
    tenant: Option<String>,
    scopes: Vec<&'static str>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; null for one that does not end by itself.
    expires_at: Option<String>,
    /// RFC 3339, give or take a minute; null for one that was never used.
    last_used_at: Option<String>,
}

/// List the API keys that were not revoked. What they are is shown when they are made, and never again.
///
/// A tenant's key sees its own; a platform key those of the tenant that it names, or everybody's.
#[utoipa::path(
    get,
    path = "/api/v1/keys",
    tag = "keys",
    params(Paging),
    responses(
        (status = 200, description = "Newest first", body = Keys),
        (status = 403, description = "Not with this key", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiQuery(wanted): ApiQuery<Paging>,
) -> ApiResult<Json<Keys>> {
    let caller = caller.may(Scope::Manage)?;
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let tenant = caller.tenant_or_all(&app).await?;
    let found = app.store.keys(tenant.as_ref(), page).await?;
    let body = |key: ApiKey| KeyBody {
        id: key.id,
        tenant: key.tenant.map(|tenant| tenant.to_string()),
        scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
        last_used_at: key.last_used_at.map(|at| at.to_string()),
    };
    Ok(Json(Keys {
        keys: found.items.into_iter().map(body).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}
