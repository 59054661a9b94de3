//! `GET /api/v1/inbox/{id}`: one request, with its body, its deliveries and their attempts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tautline_core::RequestId;
use tautline_core::access::Scope;
use tautline_core::inbox::Whose;
use utoipa::IntoParams;

use super::list::only_platform;
use super::view::{FullRequestBody, full};
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiError, ApiPath, ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// One that matched no installation. Platform keys only, and without a tenant.
    #[serde(default)]
    pub(super) unclaimed: bool,
}

/// Look at one request.
#[utoipa::path(
    get,
    path = "/api/v1/inbox/{id}",
    tag = "inbox",
    params(("id" = String, Path, description = "req_…"), Wanted),
    responses(
        (status = 200, description = "The request, with its body", body = FullRequestBody),
        (status = 404, description = "No such request of this tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiPath(id): ApiPath<String>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<Json<FullRequestBody>> {
    let caller = caller.may(Scope::Read)?;
    let request_id: RequestId = id.parse().map_err(|_| unknown(&id))?;
    let found = if wanted.unclaimed {
        only_platform(&caller)?;
        app.store.request(Whose::Unclaimed, request_id).await?
    } else {
        let tenant = caller.tenant(&app).await?.tenant;
        app.store.request(Whose::Tenant(&tenant), request_id).await?
    };
    found.map(|found| Json(full(found))).ok_or_else(|| unknown(&id))
}

pub(super) fn unknown(id: &str) -> ApiError {
    ApiError::not_found("request_unknown", format!("there is no request {id:?}"))
        .fix("GET /api/v1/inbox lists this tenant's requests")
}
