//! `GET …/messages`: a tenant's messages, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::access::Scope;
use utoipa::ToSchema;

use super::view::{MessageBody, summary};
use crate::api::v1::paging::{Paging, page};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiQuery, ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct Messages {
    messages: Vec<MessageBody>,
    next_cursor: Option<String>,
}

/// List a tenant's messages.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/messages",
    tag = "messages",
    params(Paging),
    responses(
        (status = 200, description = "Newest first", body = Messages),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiQuery(wanted): ApiQuery<Paging>,
) -> ApiResult<Json<Messages>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let found = app.store.messages(&tenant, page(wanted.limit, wanted.cursor.as_deref())?).await?;
    Ok(Json(Messages {
        messages: found.items.iter().map(summary).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}
