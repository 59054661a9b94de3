//! `GET /api/v1/deliveries`: what is on its way to whom, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::delivery::{DeliveryFilter, DeliveryState, Listed};
use tautline_core::{EndpointId, RequestId};
use utoipa::{IntoParams, ToSchema};

use crate::api::v1::inbox::list::since;
use crate::api::v1::inbox::view::{DeliveryBody, delivery};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiError, ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// To this endpoint: `end_…`.
    pub(crate) endpoint: Option<String>,
    /// `ready`, `leased`, `delivered` or `dead`.
    pub(crate) state: Option<String>,
    /// Made then or later; RFC 3339.
    pub(crate) since: Option<String>,
    /// 1 to 500; 50 unless asked for.
    pub(crate) limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// A delivery, and what it brings.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedBody {
    #[serde(flatten)]
    delivery: DeliveryBody,
    #[schema(value_type = String)]
    request: RequestId,
    tenant: String,
    #[schema(example = "event")]
    kind: &'static str,
    #[serde(rename = "type")]
    #[schema(example = "app_mention")]
    name: String,
    /// RFC 3339.
    received_at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ListedDeliveries {
    deliveries: Vec<ListedBody>,
    /// A page can be short, or empty, and have another after it: 20,000 deliveries are looked at for each.
    next_cursor: Option<String>,
}

/// List deliveries.
///
/// A tenant's key sees its own; a platform key those of the tenant that it names, or everybody's.
#[utoipa::path(
    get,
    path = "/api/v1/deliveries",
    tag = "deliveries",
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = ListedDeliveries),
        (status = 400, description = "No such state, or no id", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<Json<ListedDeliveries>> {
    let caller = caller.may(Scope::Read)?;
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let filter = DeliveryFilter {
        endpoint: wanted.endpoint.as_deref().map(endpoint).transpose()?,
        state: wanted.state.as_deref().map(state).transpose()?,
        since: wanted.since.as_deref().map(since).transpose()?,
        tenant: caller.tenant_or_all(&app).await?,
    };
    let found = app.store.deliveries(&filter, page).await?;
    Ok(Json(ListedDeliveries {
        deliveries: found.items.into_iter().map(listed).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}

fn listed(listed: Listed) -> ListedBody {
    ListedBody {
        request: listed.delivery.request,
        delivery: delivery(listed.delivery),
        tenant: listed.tenant.to_string(),
        kind: listed.kind.as_str(),
        name: listed.name,
        received_at: listed.received_at.to_string(),
    }
}

pub(in crate::api::v1) fn endpoint(id: &str) -> ApiResult<EndpointId> {
    id.parse().map_err(|_| {
        ApiError::bad_request("invalid_endpoint", format!("{id:?} is no endpoint's id"))
            .fix("GET /api/v1/endpoints lists them")
    })
}

fn state(name: &str) -> ApiResult<DeliveryState> {
    DeliveryState::from_name(name).ok_or_else(|| {
        ApiError::bad_request("unknown_state", format!("there is no state {name:?}"))
            .fix("the states are ready, leased, delivered and dead")
    })
}
