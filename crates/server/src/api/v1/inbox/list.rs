//! `GET /api/v1/inbox`: what Slack sent, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::Timestamp;
use tautline_core::access::Scope;
use tautline_core::inbox::{RequestFilter, Whose};
use tautline_slack::request::Kind;
use utoipa::{IntoParams, ToSchema};

use super::view::{RequestBody, summary};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiError, ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of this kind, such as `event` or `command`.
    kind: Option<String>,
    /// Of this type within the kind, such as `app_mention` or `/deploy`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    name: Option<String>,
    /// Of this workspace.
    team_id: Option<String>,
    /// Received then or later; RFC 3339.
    since: Option<String>,
    /// What matched no installation. Platform keys only, and without a tenant.
    #[serde(default)]
    unclaimed: bool,
    /// 1 to 500; 50 unless asked for.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Requests {
    requests: Vec<RequestBody>,
    next_cursor: Option<String>,
}

/// List what Slack sent.
#[utoipa::path(
    get,
    path = "/api/v1/inbox",
    tag = "inbox",
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = Requests),
        (status = 400, description = "No such kind, or no tenant named", body = ErrorBody),
        (status = 403, description = "Unclaimed requests are for platform keys", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<Json<Requests>> {
    let caller = caller.may(Scope::Read)?;
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let filter = filter(wanted.kind.as_deref(), wanted.name, wanted.team_id, wanted.since.as_deref())?;
    let found = if wanted.unclaimed {
        only_platform(&caller)?;
        app.store.requests(Whose::Unclaimed, &filter, page).await?
    } else {
        let tenant = caller.tenant(&app).await?.tenant;
        app.store.requests(Whose::Tenant(&tenant), &filter, page).await?
    };
    Ok(Json(Requests {
        requests: found.items.into_iter().map(summary).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}

/// What matched no installation may be anybody's.
pub(super) fn only_platform(caller: &Anyone) -> ApiResult<()> {
    if caller.is_platform() {
        return Ok(());
    }
    let error = "unclaimed requests are for platform keys";
    Err(ApiError::new(StatusCode::FORBIDDEN, "platform_key_required", error)
        .fix("use TAUTLINE_ADMIN_KEY, or a key made without a tenant"))
}

/// Which requests are meant.
pub(super) fn filter(
    kind: Option<&str>,
    name: Option<String>,
    team_id: Option<String>,
    since: Option<&str>,
) -> ApiResult<RequestFilter> {
    Ok(RequestFilter {
        kind: kind.map(self::kind).transpose()?,
        name,
        team_id,
        since: since.map(self::since).transpose()?,
    })
}

pub(in crate::api::v1) fn kind(name: &str) -> ApiResult<Kind> {
    let kinds = Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = |_| ApiError::bad_request("unknown_kind", format!("there is no kind {name:?}"));
    name.parse().map_err(|error| unknown(error).fix(format!("the kinds are {kinds}")))
}

pub(in crate::api::v1) fn since(text: &str) -> ApiResult<Timestamp> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        ApiError::bad_request("invalid_since", "since is no time").fix("write it like 2026-01-31T12:00:00Z")
    })?;
    Ok(Timestamp::from_micros(time.as_microsecond()))
}
