//! `POST /api/v1/endpoints`: send what Slack sends to one more of the product's apps.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::endpoint::{Endpoint, Filter, Target, TenantSet};
use tautline_core::{EndpointId, TenantId, limits, new_secret};
use url::Url;
use utoipa::ToSchema;

use super::refresh;
use super::view::{EndpointBody, body};
use crate::api::v1::creating::{Creating, made_once};
use crate::app::App;
use crate::auth::{Platform, known_tenant};
use crate::egress::names_metadata;
use crate::error::{ApiError, ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEndpoint {
    /// Where it is. Private addresses are welcome, those of clouds' metadata services are not.
    #[schema(example = "https://app.internal/slack/events")]
    url: String,
    /// `slack`: the original bytes, signed afresh with this endpoint's secret, as a Bolt app takes them.
    #[schema(example = "slack")]
    form: String,
    /// What it wants, any one of them: `*`, `event.app_mention`, `command./deploy`, `block_action.approve_*`.
    #[schema(example = json!(["*"]))]
    filters: Vec<String>,
    /// Whose requests: `["*"]` is every tenant.
    #[schema(example = json!(["*"]))]
    tenants: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointBody,
    /// What requests to it are signed with: the app's signing secret. Shown this once.
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
    if new.form != "slack" {
        return Err(ApiError::bad_request("unknown_form", format!("there is no form {:?}", new.form))
            .fix("this version delivers in the form slack"));
    }
    let (url, filters) = (read_url(&new.url)?, read_filters(&new.filters)?);
    let tenants = read_tenants(&app, &new.tenants).await?;
    if app.endpoints().len() >= limits::ENDPOINTS {
        let error = format!("there are {} endpoints already", limits::ENDPOINTS);
        return Err(ApiError::new(StatusCode::CONFLICT, "too_many_endpoints", error)
            .fix("remove one, or let one serve several tenants"));
    }
    let id = EndpointId::generate(now, app.rng.as_ref());
    let target = Target::Slack { url };
    let endpoint =
        Endpoint { id, name: id.to_string(), target, filters, tenants, is_declared: false, created_at: now };
    let secret = new_secret(app.rng.as_ref());
    made_once(app.store.endpoint_make(endpoint.clone(), secret.clone().into(), once).await?)?;
    refresh(&app).await;
    Ok((StatusCode::CREATED, Json(CreatedEndpoint { endpoint: body(&endpoint), secret })))
}

fn read_url(text: &str) -> ApiResult<Url> {
    let invalid = |error: &str| ApiError::bad_request("invalid_url", format!("the url {error}"));
    let url: Url = text.parse().map_err(|_| invalid("cannot be read").fix("write it whole: https://…"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || text.len() > limits::RETURN_TO_BYTES {
        return Err(invalid("is no http or https address").fix("write it whole: https://…"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds a password").fix("leave it out: requests are signed"));
    }
    if names_metadata(&url) {
        return Err(invalid("is an address of a cloud's metadata service").fix("name the app itself"));
    }
    Ok(url)
}

fn read_filters(texts: &[String]) -> ApiResult<Vec<Filter>> {
    if texts.is_empty() || texts.len() > limits::FILTERS {
        let error = format!("an endpoint has from 1 to {} filters", limits::FILTERS);
        return Err(ApiError::bad_request("invalid_filters", error).fix("[\"*\"] is everything"));
    }
    let read = |text: &String| text.parse::<Filter>();
    let filters = texts.iter().map(read).collect::<Result<Vec<_>, _>>();
    filters.map_err(|error| ApiError::bad_request("invalid_filter", error.to_string()))
}

async fn read_tenants(app: &App, ids: &[String]) -> ApiResult<TenantSet> {
    if ids == ["*"] {
        return Ok(TenantSet::All);
    }
    if ids.is_empty() || ids.len() > limits::PAGE_MAX as usize {
        let error =
            format!("an endpoint serves every tenant, or from 1 to {} that are named", limits::PAGE_MAX);
        return Err(ApiError::bad_request("invalid_tenants", error).fix("[\"*\"] is every tenant"));
    }
    let mut named: Vec<TenantId> = Vec::with_capacity(ids.len());
    for id in ids {
        let tenant = known_tenant(app, id).await?;
        if !named.contains(&tenant) {
            named.push(tenant);
        }
    }
    Ok(TenantSet::Only(named))
}
