//! `POST /api/v1/dead-letters/replay`: have dead letters delivered again, of one endpoint or all, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::delivery::{DeliveryFilter, DeliveryState, Listed, Revival};
use tautline_core::inbox::Revive;
use tautline_core::kinds::Policy;
use utoipa::ToSchema;

use crate::api::v1::deliveries::list::endpoint;
use crate::api::v1::inbox::list::{kind, since};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::Anyone;
use crate::error::{ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichLetters {
    /// To this endpoint: `end_…`.
    endpoint: Option<String>,
    /// Of this kind.
    kind: Option<String>,
    /// Of this type within the kind.
    #[serde(rename = "type")]
    name: Option<String>,
    /// Received then or later; RFC 3339.
    #[schema(example = "2026-01-31T12:00:00Z")]
    since: Option<String>,
    /// How many one call looks at: 1 to 500; 50 unless asked for.
    limit: Option<u32>,
    /// `next_cursor` of the call before.
    cursor: Option<String>,
}

/// What one call came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayedLetters {
    /// Deliveries that are on their way.
    replayed: u64,
    /// Dead letters that were looked at and left: another kind or type, what may have run, what is no longer kept, what
    /// has nowhere to go.
    left: u64,
    /// Where the next call goes on; null at the end.
    next_cursor: Option<String>,
}

/// Have dead letters delivered again.
///
/// What may have run and must not run twice (a command that timed out, a modal whose error was shown) is left: replay those one
/// by one, by their request. Newest first, a page for each call; call again with `next_cursor` until that is null. To stop in
/// between, or to call twice, does no harm: what is on its way already is dead no more. A tenant's key replays its own; a platform
/// key those of the tenant that it names, or everybody's.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/replay",
    tag = "deliveries",
    request_body = WhichLetters,
    responses(
        (status = 200, description = "This page is on its way", body = ReplayedLetters),
        (status = 400, description = "No such kind, no id, or no time", body = ErrorBody),
    ),
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    caller: Anyone,
    which: Result<Json<WhichLetters>, JsonRejection>,
) -> ApiResult<Json<ReplayedLetters>> {
    let (caller, Json(which)) = (caller.may(Scope::Manage)?, which?);
    let page = page(which.limit, which.cursor.as_deref())?;
    let kind = which.kind.as_deref().map(kind).transpose()?;
    let filter = DeliveryFilter {
        endpoint: which.endpoint.as_deref().map(endpoint).transpose()?,
        state: Some(DeliveryState::Dead),
        since: which.since.as_deref().map(since).transpose()?,
        tenant: caller.tenant_or_all(&app).await?,
    };
    let found = app.store.deliveries(&filter, page).await?;
    let (now, looked_at) = (app.clock.now(), found.items.len() as u64);
    let is_wanted = |listed: &Listed| {
        kind.is_none_or(|kind| listed.kind == kind)
            && which.name.as_ref().is_none_or(|name| listed.name == *name)
    };
    let revival = |Listed { delivery, tenant, kind, .. }| Revival {
        id: delivery.id,
        turn: app.dispatcher.turn_again(&tenant, kind, now),
        tenant,
        expires_at: Policy::of(kind).worth_until(now),
    };
    // Oldest first, as they came.
    let revivals = found.items.into_iter().rev().filter(is_wanted).map(revival).collect();
    let replayed = app.store.delivery_revive(Revive::Undone, now, revivals).await?;
    Ok(Json(ReplayedLetters {
        replayed,
        left: looked_at - replayed,
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}
