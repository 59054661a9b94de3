//! `GET /api/v1/endpoints/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tautline_core::access::Scope;

use super::read;
use super::view::{EndpointBody, kept};
use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiPath, ApiResult, ErrorBody};

/// Look at an endpoint.
#[utoipa::path(
    get,
    path = "/api/v1/endpoints/{id}",
    tag = "endpoints",
    params(("id" = String, Path, description = "end_…")),
    responses(
        (status = 200, description = "The endpoint, and how it does", body = EndpointBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such endpoint", body = ErrorBody),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<EndpointBody>> {
    platform.may(Scope::Read)?;
    Ok(Json(kept(&read::known(&app, &id).await?, app.clock.now())))
}
