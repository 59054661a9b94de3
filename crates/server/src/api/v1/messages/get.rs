//! `GET …/messages/{id}`: what became of a message.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tautline_core::MessageId;
use tautline_core::access::Scope;

use super::view::{FullMessageBody, full};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};

/// Look at one message.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/messages/{id}",
    tag = "messages",
    params(("id" = String, Path, description = "msg_…")),
    responses(
        (status = 200, description = "Where it stands, with its attempts", body = FullMessageBody),
        (status = 404, description = "No such message of this tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<FullMessageBody>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let unknown = || {
        ApiError::not_found("message_unknown", format!("there is no message {id:?}"))
            .fix("GET /api/v1/integrations/slack/messages lists this tenant's messages")
    };
    let message_id: MessageId = id.parse().map_err(|_| unknown())?;
    let found = app.store.message(&tenant, message_id).await?;
    found.map(|message| Json(full(message))).ok_or_else(unknown)
}
