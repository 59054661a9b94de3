//! `GET /api/v1/audit`: who did what.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use tautline_core::audit::AuditRecord;
use utoipa::ToSchema;

use crate::api::v1::paging::{Paging, page};
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiQuery, ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct Audit {
    entries: Vec<AuditBody>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AuditBody {
    /// RFC 3339.
    at: String,
    /// Whom it concerns; `home` is the company itself.
    tenant: String,
    #[schema(example = "the API key key_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    actor: String,
    #[schema(example = "endpoint.changed")]
    action: String,
    /// To what: an id, or a workspace. No secret.
    subject: String,
}

/// List who did what: connected and disconnected workspaces, changed endpoints and keys, gave requests away, erased tenants.
///
/// A tenant's key sees its own; a platform key those of the tenant that it names, or everybody's.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "audit",
    params(Paging),
    responses(
        (status = 200, description = "Newest first", body = Audit),
        (status = 403, description = "Not with this key", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiQuery(wanted): ApiQuery<Paging>,
) -> ApiResult<Json<Audit>> {
    let caller = caller.may(Scope::Manage)?;
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let tenant = caller.tenant_or_all(&app).await?;
    let found = app.store.audit(tenant.as_ref(), page).await?;
    let body = |AuditRecord { at, tenant, actor, action, subject, .. }| AuditBody {
        at: at.to_string(),
        tenant,
        actor,
        action,
        subject,
    };
    Ok(Json(Audit {
        entries: found.items.into_iter().map(body).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}
