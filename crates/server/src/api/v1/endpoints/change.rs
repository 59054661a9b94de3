//! `PATCH /api/v1/endpoints/{id}`: move it, narrow it, pause and resume it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use tautline_core::TenantId;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::endpoint::{EndpointChange, Target};
use utoipa::ToSchema;

use super::view::{EndpointBody, kept};
use super::{read, refresh};
use crate::app::App;
use crate::audit;
use crate::auth::Platform;
use crate::error::{ApiPath, ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedEndpoint {
    /// Where it is now. What waits for it goes there.
    url: Option<String>,
    /// What it wants from now on.
    filters: Option<Vec<String>>,
    /// Whose requests, from now on.
    tenants: Option<Vec<String>>,
    /// Attempts under way at once.
    in_flight: Option<u32>,
    /// True: nothing is sent, and what comes waits until it is too old. False: it is asked again at once, also if it rests
    /// or answered 410.
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
    request_body = ChangedEndpoint,
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
    change: Result<Json<ChangedEndpoint>, JsonRejection>,
) -> ApiResult<Json<EndpointBody>> {
    let caller = platform.may(Scope::Manage)?;
    let Json(changed) = change?;
    let endpoint = read::made(&app, &id).await?.endpoint;
    let url = changed.url.as_deref().map(read::url).transpose()?;
    let tenants = match &changed.tenants {
        Some(tenants) => Some(read::tenants(&app, tenants).await?),
        None => None,
    };
    let change = EndpointChange {
        target: url.map(|url| match endpoint.target {
            Target::Standard { .. } => Target::Standard { url },
            Target::Slack { .. } | Target::InProcess => Target::Slack { url },
        }),
        filters: changed.filters.as_deref().map(read::filters).transpose()?,
        tenants,
        in_flight: changed.in_flight.map(read::in_flight).transpose()?,
        is_paused: changed.paused,
    };
    read::together(
        change.target.as_ref().unwrap_or(&endpoint.target),
        change.filters.as_deref().unwrap_or(&endpoint.filters),
        change.tenants.as_ref().unwrap_or(&endpoint.tenants),
    )?;
    if !app.store.endpoint_change(endpoint.id, change).await? {
        return Err(read::unknown(&id)); // removed in the meantime
    }
    refresh(&app).await;
    audit::note(&app, &TenantId::home(), caller.name, AuditAction::EndpointChanged, endpoint.id).await;
    if changed.paused == Some(false) || changed.url.is_some() {
        // Somebody did something about it: what waits for its time need not.
        app.store.delivery_hasten(endpoint.id, app.clock.now()).await?;
        app.dispatcher.probe(endpoint.id, app.clock.now());
    }
    Ok(Json(kept(&read::known(&app, &id).await?, app.clock.now())))
}
