//! `DELETE …/users/{id}/content`: erase what a person in Slack said and did.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::keeping::ResealCursor;
use tautline_core::{StoreResult, TenantId};
use utoipa::ToSchema;

use crate::app::App;
use crate::audit;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};

/// What was erased.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserReceipt {
    #[schema(example = "U0123456789")]
    user: String,
    /// RFC 3339.
    erased_at: String,
    /// Requests whose content is gone; that they came stays on record.
    requests: u64,
    /// Messages whose content is gone.
    messages: u64,
}

/// A user id of Slack's is shorter.
const USER_BYTES: usize = 32;

/// Erase what a person in Slack said and did.
///
/// The content goes of every request and message of the tenant that names the person: their id, also where somebody else
/// mentions them. What waits of it is given up. What endpoints were given before is theirs to erase; what comes later is
/// kept like everybody's.
#[utoipa::path(
    delete,
    path = "/api/v1/integrations/slack/users/{id}/content",
    tag = "installations",
    params(("id" = String, Path, description = "The person's id in Slack: U… or W…")),
    responses(
        (status = 200, description = "Nothing is left; the receipt", body = UserReceipt),
        (status = 400, description = "No user id of Slack's", body = ErrorBody),
        (status = 403, description = "Not with this key", body = ErrorBody),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(user): ApiPath<String>,
) -> ApiResult<Json<UserReceipt>> {
    let (caller, tenant) = caller.may(Scope::Manage)?;
    let is_id = user.starts_with(['U', 'W']) && user.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_id || user.len() < 2 || user.len() > USER_BYTES {
        let error = format!("{user:?} is no user id of Slack's");
        return Err(ApiError::bad_request("invalid_user", error)
            .fix("name the person by id, U… or W…: Slack shows it in their profile"));
    }
    let at = app.clock.now();
    // A task of its own: what was begun is ended, even if whoever asked hangs up.
    let erasing = app.tasks.spawn(to_the_end(app.clone(), tenant.clone(), user.clone()));
    let (requests, messages) = erasing.await.map_err(|_| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "erasing broke off").fix("ask again")
    })??;
    audit::note(&app, &tenant, caller.name, AuditAction::UserErased, &user).await;
    Ok(Json(UserReceipt { user, erased_at: at.to_string(), requests, messages }))
}

async fn to_the_end(app: Arc<App>, tenant: TenantId, user: String) -> StoreResult<(u64, u64)> {
    let (mut from, mut requests, mut messages) = (Some(ResealCursor::START), 0, 0);
    while let Some(cursor) = from {
        let part = app.store.user_erase(&tenant, &user, cursor).await?;
        requests += part.requests;
        messages += part.messages;
        from = part.next;
    }
    Ok((requests, messages))
}
