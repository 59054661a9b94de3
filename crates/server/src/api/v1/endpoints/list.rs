//! `GET /api/v1/endpoints`: who gets what Slack sends.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use utoipa::ToSchema;

use super::view::{EndpointBody, kept};
use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct Endpoints {
    endpoints: Vec<EndpointBody>,
    /// Always null: there are a thousand at most.
    next_cursor: Option<String>,
}

/// List the endpoints, those that the environment declares among them.
#[utoipa::path(
    get,
    path = "/api/v1/endpoints",
    tag = "endpoints",
    responses(
        (status = 200, description = "Oldest first", body = Endpoints),
        (status = 403, description = "Not a platform key", body = ErrorBody),
    ),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, platform: Platform) -> ApiResult<Json<Endpoints>> {
    platform.may(Scope::Read)?;
    let (now, found) = (app.clock.now(), app.store.endpoints().await?);
    let endpoints = found.iter().map(|found| kept(found, now)).collect();
    Ok(Json(Endpoints { endpoints, next_cursor: None }))
}
