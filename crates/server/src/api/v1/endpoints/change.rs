//! `PATCH /api/v1/endpoints/{id}`: move it, narrow it, pause and resume it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use tautline_core::access::Scope;
use tautline_core::endpoint::{Kept, Target};
use utoipa::ToSchema;

use super::view::{EndpointBody, kept};
use super::{read, refresh};
use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiPath, ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointChange {
    /// Where it is now. What waits for it goes there.
    url: Option<String>,
    /// What it wants from now on.
    filters: Option<Vec<String>>,
    /// Whose requests, from now on.
    tenants: Option<Vec<String>>,
    /// Attempts under way at once.
    in_flight: Option<u32>,
    /// True: nothing is sent, and what comes waits until it is too old. False: also one that answered 410 is asked again.
    paused: Option<bool>,
}

/// Change an endpoint.
///
/// What is left out stays. Its form stays, too: make another endpoint for another form.
#[utoipa::path(
    patch,
    path = "/api/v1/endpoints/{id}",
    tag = "endpoints",
    params(("id" = String, Path, description = "end_…")),
    request_body = EndpointChange,
    responses(
        (status = 200, description = "The endpoint as it is now", body = EndpointBody),
        (status = 400, description = "A URL, filter or limit that cannot be", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "There is no such endpoint, or tenant", body = ErrorBody),
        (status = 409, description = "The environment declares it", body = ErrorBody),
    ),
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
    change: Result<Json<EndpointChange>, JsonRejection>,
) -> ApiResult<Json<EndpointBody>> {
    platform.may(Scope::Manage)?;
    let Json(change) = change?;
    let Kept { mut endpoint, secret, secret_before } = read::made(&app, &id).await?;
    if let Some(url) = &change.url {
        let url = read::url(url)?;
        endpoint.target = match endpoint.target {
            Target::Standard { .. } => Target::Standard { url },
            Target::Slack { .. } | Target::InProcess => Target::Slack { url },
        };
    }
    if let Some(filters) = &change.filters {
        endpoint.filters = read::filters(filters)?;
    }
    if let Some(tenants) = &change.tenants {
        endpoint.tenants = read::tenants(&app, tenants).await?;
    }
    if let Some(most) = change.in_flight {
        endpoint.in_flight = Some(read::in_flight(most)?);
    }
    if let Some(is_paused) = change.paused {
        endpoint.is_paused = is_paused;
        if !is_paused {
            endpoint.health.disabled_at = None;
        }
    }
    if !app.store.endpoint_change(&endpoint).await? {
        return Err(read::unknown(&id)); // removed in the meantime
    }
    refresh(&app).await;
    Ok(Json(kept(&Kept { endpoint, secret, secret_before }, app.clock.now())))
}
