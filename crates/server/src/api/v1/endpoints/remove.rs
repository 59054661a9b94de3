//! `DELETE /api/v1/endpoints/{id}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tautline_core::EndpointId;
use tautline_core::access::Scope;

use super::refresh;
use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};

/// Remove an endpoint. What waits for it is not delivered any more.
#[utoipa::path(
    delete,
    path = "/api/v1/endpoints/{id}",
    tag = "endpoints",
    params(("id" = String, Path, description = "end_…")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such endpoint", body = ErrorBody),
        (status = 409, description = "The environment declares it", body = ErrorBody),
    ),
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    platform.may(Scope::Manage)?;
    let unknown = || {
        ApiError::not_found("endpoint_unknown", format!("there is no endpoint {id:?}"))
            .fix("GET /api/v1/endpoints lists them")
    };
    let endpoint: EndpointId = id.parse().map_err(|_| unknown())?;
    if app.store.endpoint_remove(endpoint).await? {
        refresh(&app).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    if app.endpoints().iter().any(|known| known.id == endpoint) {
        let error = "this endpoint is declared by the environment or the program";
        return Err(ApiError::new(StatusCode::CONFLICT, "endpoint_declared", error)
            .fix("change it there (TAUTLINE_FORWARD_URL, or the handlers of the program), and start the server anew"));
    }
    Err(unknown())
}
