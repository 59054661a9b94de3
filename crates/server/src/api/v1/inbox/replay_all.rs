//! `POST /api/v1/inbox/replay`: the same for all that a filter finds, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::inbox::{Revive, Whose};
use tautline_core::kinds::Policy;
use utoipa::ToSchema;

use super::list::{filter, only_platform};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiResult, ErrorBody};
use crate::inbound::claim::{Claim, claim};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of this kind.
    kind: Option<String>,
    /// Of this type within the kind.
    #[serde(rename = "type")]
    name: Option<String>,
    /// Of this workspace.
    team_id: Option<String>,
    /// Received then or later; RFC 3339.
    #[schema(example = "2026-01-31T12:00:00Z")]
    since: Option<String>,
    /// What matched no installation when it came. Platform keys only, and without a tenant.
    #[serde(default)]
    unclaimed: bool,
    /// How many requests one call looks at: 1 to 500; 50 unless asked for.
    limit: Option<u32>,
    /// `next_cursor` of the call before.
    cursor: Option<String>,
}

/// What one call came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayedPage {
    /// Requests that are on their way.
    replayed: u64,
    /// Requests that were looked at and left: nothing to deliver, or nobody to deliver to.
    left: u64,
    /// Where the next call goes on; null at the end.
    next_cursor: Option<String>,
}

/// Have many requests delivered again.
///
/// What may have run and must not run twice (a command that timed out, a modal whose error was shown) is left: replay
/// those one by one. Newest first, a page for each call; call again with `next_cursor` until that is null. To stop in between, or to call
/// twice, does no harm: what is on its way already is left.
#[utoipa::path(
    post,
    path = "/api/v1/inbox/replay",
    tag = "inbox",
    request_body = Which,
    responses(
        (status = 200, description = "This page is on its way", body = ReplayedPage),
        (status = 400, description = "No such kind, or no tenant named", body = ErrorBody),
        (status = 403, description = "Unclaimed requests are for platform keys", body = ErrorBody),
    ),
)]
pub(crate) async fn replay_all(
    State(app): State<Arc<App>>,
    caller: Anyone,
    body: Result<Json<Which>, axum::extract::rejection::JsonRejection>,
) -> ApiResult<Json<ReplayedPage>> {
    let (caller, Json(which)) = (caller.may(Scope::Manage)?, body?);
    let page = page(which.limit, which.cursor.as_deref())?;
    let filter = filter(which.kind.as_deref(), which.name, which.team_id, which.since.as_deref())?;
    let (mut replayed, mut left) = (0, 0);
    let mut count = |is_on_its_way: bool| if is_on_its_way { replayed += 1 } else { left += 1 };
    let next = if which.unclaimed {
        only_platform(&caller)?;
        let found = app.store.requests(Whose::Unclaimed, &filter, page).await?;
        for summary in found.items {
            // A list has no bodies.
            let whole = app.store.request(Whose::Unclaimed, summary.request.id).await?;
            let Some(whole) = whole else { continue };
            count(matches!(claim(&app, whole.request, caller.name()).await?, Claim::Claimed { .. }));
        }
        found.next
    } else {
        let tenant = caller.tenant(&app).await?.tenant;
        let found = app.store.requests(Whose::Tenant(&tenant), &filter, page).await?;
        for summary in found.items {
            let (id, now) = (summary.request.id, app.clock.now());
            let until = Policy::of(summary.request.kind).worth_until(now);
            let turn = app.dispatcher.turn_again(&tenant, summary.request.kind, now);
            count(app.store.request_replay(&tenant, id, Revive::Undone, now, turn, until).await? > 0);
        }
        found.next
    };
    Ok(Json(ReplayedPage { replayed, left, next_cursor: next.map(|cursor| cursor.encode()) }))
}
