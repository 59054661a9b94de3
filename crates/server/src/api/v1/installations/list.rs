//! `GET …/installations`: a tenant's workspaces.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use utoipa::ToSchema;

use super::view::{InstallationBody, body};
use crate::api::v1::paging::{Paging, page};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiQuery, ApiResult, ErrorBody};
use crate::installations::health;

#[derive(Serialize, ToSchema)]
pub(crate) struct Installations {
    installations: Vec<InstallationBody>,
    next_cursor: Option<String>,
}

/// List a tenant's workspaces.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/installations",
    tag = "installations",
    params(Paging),
    responses(
        (status = 200, description = "Newest first", body = Installations),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiQuery(wanted): ApiQuery<Paging>,
) -> ApiResult<Json<Installations>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let found = app.store.installations(&tenant, page).await?;
    let looked = health::look(&app, &tenant, found.items).await?;
    Ok(Json(Installations {
        installations: looked.into_iter().map(|looked| body(&app, looked)).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}
