//! `DELETE …/users/{id}/content`: erase what a person in Slack said and did.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use tautline_core::audit::AuditAction;
use tautline_core::keeping::ResealCursor;
use tautline_core::{TenantId, limits};
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
    /// Messages that are on their way to Slack just now, and were left: if there are any, ask again.
    on_their_way: u64,
}

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
    if !is_id || user.len() < 2 || user.len() > limits::SLACK_USER_BYTES {
        let error = format!("{user:?} is no user id of Slack's");
        return Err(ApiError::bad_request("invalid_user", error)
            .fix("name the person by id, U… or W…: Slack shows it in their profile"));
    }
    let receipt = app.to_the_end(to_the_end(app.clone(), tenant, user, caller.name)).await?;
    Ok(Json(receipt))
}

async fn to_the_end(app: Arc<App>, tenant: TenantId, user: String, actor: String) -> ApiResult<UserReceipt> {
    let at = app.clock.now();
    let (mut from, mut requests, mut messages, mut on_their_way) = (Some(ResealCursor::START), 0, 0, 0);
    while let Some(cursor) = from {
        let part = app.store.user_erase(&tenant, &user, cursor).await?;
        requests += part.requests;
        messages += part.messages;
        on_their_way += part.on_their_way;
        from = part.next;
    }
    audit::note(&app, &tenant, actor, AuditAction::UserErased, &user).await;
    Ok(UserReceipt { user, erased_at: at.to_string(), requests, messages, on_their_way })
}
