//! What callers write of an endpoint, read; and the endpoint that they mean.

use http::StatusCode;
use tautline_core::endpoint::{Filter, Kept, Target, TenantSet};
use tautline_core::{EndpointId, TenantId, limits};
use url::Url;

use crate::app::App;
use crate::auth::known_tenant;
use crate::egress::names_metadata;
use crate::error::{ApiError, ApiResult};

pub(super) fn target(form: &str, url: &str) -> ApiResult<Target> {
    let url = self::url(url)?;
    match form {
        "slack" => Ok(Target::Slack { url }),
        "standard" => Ok(Target::Standard { url }),
        _ => Err(ApiError::bad_request("unknown_form", format!("there is no form {form:?}"))
            .fix("slack is for Bolt apps, standard for programs that know nothing of Slack")),
    }
}

pub(super) fn url(text: &str) -> ApiResult<Url> {
    let invalid = |error: &str| ApiError::bad_request("invalid_url", format!("the url {error}"));
    if text.len() > limits::ENDPOINT_URL_BYTES {
        let error = format!("is longer than {} bytes", limits::ENDPOINT_URL_BYTES);
        return Err(invalid(&error).fix("shorten it; facts of a request ride in headers"));
    }
    let url: Url = text.parse().map_err(|_| invalid("cannot be read").fix("write it whole: https://…"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
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

pub(super) fn filters(texts: &[String]) -> ApiResult<Vec<Filter>> {
    if texts.is_empty() || texts.len() > limits::FILTERS {
        let error = format!("an endpoint has from 1 to {} filters", limits::FILTERS);
        return Err(ApiError::bad_request("invalid_filters", error).fix("[\"*\"] is everything"));
    }
    let read = |text: &String| {
        let invalid = |error: tautline_core::endpoint::FilterError| {
            ApiError::bad_request("invalid_filter", error.to_string()).fix(error.fix())
        };
        text.parse::<Filter>().map_err(invalid)
    };
    texts.iter().map(read).collect()
}

/// What form, filters and tenants say together must be able to match something.
pub(super) fn together(target: &Target, filters: &[Filter], tenants: &TenantSet) -> ApiResult<()> {
    let never = |filter: &Filter, why: &str| {
        ApiError::bad_request("invalid_filter", format!("\"{filter}\" matches nothing here: {why}"))
    };
    for filter in filters {
        if filter.is_own() && !target.takes_own_events() {
            return Err(never(filter, "the gateway's own events do not go to Bolt apps")
                .fix("make an endpoint of the form standard for them"));
        }
        if filter.is_of_home() && !tenants.contains(&TenantId::home()) {
            return Err(never(
                filter,
                "what becomes of endpoints is the company's own affair, and no customer's",
            )
            .fix("name the tenant \"home\", or all: [\"*\"]"));
        }
    }
    Ok(())
}

pub(super) async fn tenants(app: &App, ids: &[String]) -> ApiResult<TenantSet> {
    if ids == ["*"] {
        return Ok(TenantSet::All);
    }
    let most = limits::PAGE_MAX as usize;
    if ids.is_empty() || ids.len() > most || ids.iter().any(|id| id == "*") {
        let error = format!("an endpoint serves every tenant, or from 1 to {most} that are named");
        return Err(ApiError::bad_request("invalid_tenants", error).fix("[\"*\"] alone is every tenant"));
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

pub(super) fn in_flight(most: u32) -> ApiResult<u32> {
    if (1..=limits::IN_FLIGHT_MAX).contains(&most) {
        return Ok(most);
    }
    let error = format!("an endpoint has from 1 to {} attempts under way", limits::IN_FLIGHT_MAX);
    let fix = "leave it out for the usual; to have nothing sent, pause the endpoint";
    Err(ApiError::bad_request("invalid_in_flight", error).fix(fix))
}

/// The endpoint of an id, whoever made it.
pub(super) async fn known(app: &App, id: &str) -> ApiResult<Kept> {
    let parsed: Option<EndpointId> = id.parse().ok();
    let found = app.store.endpoints().await?.into_iter().find(|kept| Some(kept.endpoint.id) == parsed);
    found.ok_or_else(|| unknown(id))
}

/// The endpoint of an id, if the API made it.
pub(super) async fn made(app: &App, id: &str) -> ApiResult<Kept> {
    let kept = known(app, id).await?;
    if !kept.endpoint.is_declared {
        return Ok(kept);
    }
    let error = "this endpoint is declared by the environment or the program";
    let fix =
        "change it there (TAUTLINE_FORWARD_URL, or the handlers of the program), and start the server anew";
    Err(ApiError::new(StatusCode::CONFLICT, "endpoint_declared", error).fix(fix))
}

pub(super) fn unknown(id: &str) -> ApiError {
    ApiError::not_found("endpoint_unknown", format!("there is no endpoint {id:?}"))
        .fix("GET /api/v1/endpoints lists them")
}
