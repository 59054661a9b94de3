//! `GET …/messages`: a tenant's messages, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::outbox::{MessageFilter, MessageState};
use utoipa::{IntoParams, ToSchema};

use super::view::{MessageBody, summary};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiQuery, ApiResult, ErrorBody};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Those that stand so, such as `queued` or `failed`.
    state: Option<String>,
    /// 1 to 500; 50 unless asked for.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

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
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = Messages),
        (status = 400, description = "No such state", body = ErrorBody),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> ApiResult<Json<Messages>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let filter = MessageFilter { state: wanted.state.as_deref().map(state).transpose()? };
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let found = app.store.messages(&tenant, filter, page).await?;
    Ok(Json(Messages {
        messages: found.items.iter().map(summary).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}

fn state(name: &str) -> ApiResult<MessageState> {
    let unknown = || ApiError::bad_request("unknown_state", format!("there is no state {name:?}"));
    let states = MessageState::ALL.map(MessageState::as_str).join(", ");
    MessageState::from_name(name).ok_or_else(|| unknown().fix(format!("the states are {states}")))
}
