//! `POST /api/v1/endpoints`: send what Slack sends to one more of the product's apps.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::endpoint::{Endpoint, Target};
use tautline_core::{EndpointId, Rng, TenantId, limits, new_secret};
use utoipa::ToSchema;

use super::view::{EndpointBody, body};
use super::{read, refresh};
use crate::api::v1::creating::{Creating, made_once};
use crate::app::App;
use crate::audit;
use crate::auth::Platform;
use crate::egress::StandardSecret;
use crate::error::{ApiError, ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEndpoint {
    /// Where it is. Private addresses are welcome, those of clouds' metadata services are not.
    #[schema(example = "https://app.internal/slack/events")]
    url: String,
    /// `slack`: the original bytes, signed afresh with this endpoint's secret, as a Bolt app takes them. `standard`: a JSON
    /// envelope `{id, type, tenant, installation, received_at, data}`, signed by the rules of Standard Webhooks.
    #[schema(example = "slack")]
    form: String,
    /// What it wants, any one of them: `*`, `event.app_mention`, `command./deploy`, `block_action.approve_*`; in the form
    /// `standard` also the gateway's own `installation.*` and `endpoint.*`.
    #[schema(example = json!(["*"]))]
    filters: Vec<String>,
    /// Whose requests: `["*"]` is every tenant.
    #[schema(example = json!(["*"]))]
    tenants: Vec<String>,
    /// Attempts under way at once, if not 64.
    in_flight: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointBody,
    /// What requests to it are signed with: a Bolt app's signing secret, or a `whsec_…`. Shown this once.
    secret: String,
}

/// Make an endpoint.
///
/// Of several that want a request the most specific filter answers Slack, then a tenant's own, then the oldest; the others
/// get a copy.
#[utoipa::path(
    post,
    path = "/api/v1/endpoints",
    tag = "endpoints",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body make nothing twice")),
    request_body = NewEndpoint,
    responses(
        (status = 201, description = "The endpoint, with its secret, shown this once", body = CreatedEndpoint),
        (status = 400, description = "A URL, form or filter that cannot be", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "No such tenant", body = ErrorBody),
        (status = 409, description = "Too many, or the Idempotency-Key was used before", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    platform: Platform,
    creating: Creating<NewEndpoint>,
) -> ApiResult<(StatusCode, Json<CreatedEndpoint>)> {
    let caller = platform.may(Scope::Manage)?;
    let now = app.clock.now();
    let (once, new) = (creating.key_of(&caller, "", now), creating.body);
    let (target, filters) = (read::target(&new.form, &new.url)?, read::filters(&new.filters)?);
    let in_flight = new.in_flight.map(read::in_flight).transpose()?;
    let tenants = read::tenants(&app, &new.tenants).await?;
    read::together(&target, &filters, &tenants)?;
    if app.endpoints().len() >= limits::ENDPOINTS {
        let error = format!("there are {} endpoints already", limits::ENDPOINTS);
        return Err(ApiError::new(StatusCode::CONFLICT, "too_many_endpoints", error)
            .fix("remove one, or let one serve several tenants"));
    }
    let id = EndpointId::generate(now, app.rng.as_ref());
    let secret = secret_for(&target, app.rng.as_ref());
    let endpoint = Endpoint { in_flight, ..Endpoint::made(id, target, filters, tenants, now) };
    made_once(app.store.endpoint_make(endpoint.clone(), secret.clone().into(), once).await?)?;
    refresh(&app).await;
    audit::note(&app, &TenantId::home(), caller.name, AuditAction::EndpointMade, id).await;
    Ok((StatusCode::CREATED, Json(CreatedEndpoint { endpoint: body(&endpoint), secret })))
}

/// A new secret, as it is written in an endpoint's form.
pub(super) fn secret_for(target: &Target, rng: &dyn Rng) -> String {
    match target {
        Target::Standard { .. } => StandardSecret::make(rng),
        Target::Slack { .. } | Target::InProcess => new_secret(rng),
    }
}
