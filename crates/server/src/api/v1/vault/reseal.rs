//! `POST /api/v1/vault/reseal`: after a key was added, seal a part of everything anew under the first key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::keeping::ResealCursor;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiError, ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// The `next_cursor` of the part before; none begins.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ResealedBody {
    /// The key that seals: its name, and a few digits that tell it from others of that name.
    #[schema(example = "k2 (a1b2c3)")]
    key: String,
    /// Rows looked at in this part.
    looked_at: u64,
    /// Values sealed anew in this part.
    resealed: u64,
    /// Rows that do not open, and why; they are left as they are.
    failed: Vec<String>,
    /// About how many rows there are in all; told with the first part.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where the next part begins; null at the end.
    next_cursor: Option<String>,
}

/// Seal a part of everything anew under the first key.
///
/// `tautline keys rotate` calls this until the end. To stop in between is no harm.
#[utoipa::path(
    post,
    path = "/api/v1/vault/reseal",
    tag = "vault",
    params(From),
    responses(
        (status = 200, description = "A part is done", body = ResealedBody),
        (status = 400, description = "Not a cursor of this list", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
    ),
)]
pub(crate) async fn reseal(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiQuery(from): ApiQuery<From>,
) -> ApiResult<Json<ResealedBody>> {
    platform.may(Scope::Manage)?;
    let total = if from.cursor.is_none() { Some(app.store.sealed_rows().await?) } else { None };
    let from = match from.cursor {
        None => ResealCursor::START,
        Some(text) => ResealCursor::decode(&text).ok_or_else(|| {
            ApiError::bad_request("invalid_cursor", "this is no cursor")
                .fix("send the next_cursor of the part before")
        })?,
    };
    let part = app.store.reseal(from).await?;
    Ok(Json(ResealedBody {
        key: app.vault.first_key(),
        looked_at: part.looked_at,
        resealed: part.resealed,
        failed: part.failed,
        total,
        next_cursor: part.next.map(|next| next.encode()),
    }))
}
