//! `GET …/installations/{id}`: one workspace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tautline_core::access::Scope;

use super::view::{InstallationBody, body};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};
use crate::installations::health;

/// One workspace, and how it does.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/installations/{id}",
    tag = "installations",
    params(("id" = String, Path, description = "ins_…")),
    responses(
        (status = 200, description = "The installation", body = InstallationBody),
        (status = 404, description = "No such installation of this tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<InstallationBody>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let found = match id.parse() {
        Ok(id) => app.store.installation(&tenant, id).await?,
        Err(_) => None,
    };
    let looked = health::look(&app, &tenant, found.into_iter().collect()).await?.pop();
    let looked = looked.ok_or_else(|| {
        ApiError::not_found("installation_unknown", format!("there is no installation {id:?} of this tenant"))
            .fix("GET /api/v1/integrations/slack/installations lists them")
    })?;
    Ok(Json(body(&app, looked)))
}
