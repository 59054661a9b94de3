//! `POST /api/v1/inbox/{id}/replay`: have a request delivered again, or at last.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::RequestId;
use tautline_core::access::Scope;
use tautline_core::delivery::DeadReason;
use tautline_core::inbox::{Revive, Whose};
use tautline_core::kinds::Policy;
use utoipa::ToSchema;

use super::get::{Wanted, unknown};
use super::list::only_platform;
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiError, ApiPath, ApiQuery, ApiResult, ErrorBody};
use crate::inbound::claim::{Claim, claim};

/// What is on its way.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replayed {
    #[schema(value_type = String)]
    id: RequestId,
    /// Whose it is, now.
    tenant: String,
    /// To how many endpoints it goes.
    deliveries: u64,
}

/// Have a request delivered again.
///
/// Its dead deliveries are made again, also those of a command or a modal that were never answered: the handler's words
/// go to the `response_url` while that lives. An unclaimed request goes to the tenant whose installation it matches by now.
#[utoipa::path(
    post,
    path = "/api/v1/inbox/{id}/replay",
    tag = "inbox",
    params(("id" = String, Path, description = "req_…"), Wanted),
    responses(
        (status = 202, description = "On its way", body = Replayed),
        (status = 404, description = "No such request of this tenant", body = ErrorBody),
        (status = 409, description = "Nothing to deliver, or nobody to deliver to", body = ErrorBody),
    ),
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    caller: Anyone,
    ApiPath(id): ApiPath<String>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<(StatusCode, Json<Replayed>)> {
    let caller = caller.may(Scope::Manage)?;
    let request: RequestId = id.parse().map_err(|_| unknown(&id))?;
    let (tenant, deliveries) = if wanted.unclaimed {
        only_platform(&caller)?;
        let found = app.store.request(Whose::Unclaimed, request).await?.ok_or_else(|| unknown(&id))?;
        match claim(&app, found.request, caller.name()).await? {
            Claim::Claimed { tenant, deliveries } => (tenant, deliveries as u64),
            refused => return Err(not_claimed(&refused)),
        }
    } else {
        let tenant = caller.tenant(&app).await?.tenant;
        let found = app.store.request(Whose::Tenant(&tenant), request).await?.ok_or_else(|| unknown(&id))?;
        if found.request.body.is_empty() {
            let error = "what Slack sent is no longer kept";
            return Err(conflict("body_forgotten", error).fix("bodies are kept for seven days"));
        }
        let now = app.clock.now();
        let until = Policy::of(found.request.kind).worth_until(now);
        match app.store.request_replay(&tenant, request, Revive::All, now, now, until).await? {
            0 if found.deliveries.iter().any(|delivery| delivery.dead == Some(DeadReason::Removed)) => {
                let error = "the endpoint that this was for is removed";
                return Err(conflict("endpoint_removed", error)
                    .fix("read it with GET, and hand it over yourself; an endpoint that moves is changed, not made anew"));
            }
            0 => {
                let error = "this request has no dead delivery";
                return Err(conflict("nothing_to_replay", error)
                    .fix("look at its deliveries: what is ready or leased is tried by itself, what is delivered is done"));
            }
            deliveries => (tenant, deliveries),
        }
    };
    Ok((StatusCode::ACCEPTED, Json(Replayed { id: request, tenant: tenant.to_string(), deliveries })))
}

fn conflict(code: &'static str, error: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, code, error)
}

fn not_claimed(why: &Claim) -> ApiError {
    match why {
        Claim::Answered => {
            conflict("already_answered", "Slack waited for an answer, and was told that nobody is there")
                .fix("the person asks again, now that the workspace is connected")
        }
        Claim::Expired => conflict("expired", "this request is too old to be of use")
            .fix("look at it with GET; it is kept for a day"),
        Claim::Gone => conflict("already_claimed", "this request was given to a tenant in the meantime")
            .fix("look for it in the tenants' inboxes"),
        Claim::NoEndpoint => conflict("no_endpoint", "no endpoint wants this request")
            .fix("set TAUTLINE_FORWARD_URL, or make an endpoint first: POST /api/v1/endpoints"),
        Claim::Unmatched | Claim::Claimed { .. } => {
            conflict("no_installation", "this request matches no installation")
                .fix("connect the workspace first: POST /api/v1/integrations/slack/connect-links")
        }
    }
}
