//! `GET /api/v1/dead-letters`: `GET /api/v1/deliveries?state=dead` by its usual name.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::v1::deliveries::list::{self as deliveries, ListedDeliveries};
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// To this endpoint: `end_…`.
    endpoint: Option<String>,
    /// Made then or later; RFC 3339.
    since: Option<String>,
    /// 1 to 500; 50 unless asked for.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List dead letters.
///
/// A tenant's key sees its own; a platform key those of the tenant that it names, or everybody's.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "deliveries",
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = ListedDeliveries),
        (status = 400, description = "No id, or no time", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    state: State<Arc<App>>,
    caller: Anyone,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<Json<ListedDeliveries>> {
    let Wanted { endpoint, since, limit, cursor } = wanted;
    let wanted = deliveries::Wanted { endpoint, state: Some("dead".to_owned()), since, limit, cursor };
    deliveries::list(state, caller, ApiQuery(wanted)).await
}
